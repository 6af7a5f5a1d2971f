"""What was planted is there: counts, shares, tastes and their traces in the interactions."""

from dataclasses import replace

import numpy as np
import pytest

from bottega.demo import TERMS, TEXTUAL, VISUAL, VOCABULARIES, Catalogue, CatalogueSpec, draw, utility
from bottega.demo.choices import FLOOR, NEW_MOST


def test_the_same_spec_draws_the_same_shop(shop: Catalogue) -> None:
    again = draw(shop.spec)
    for name in ("user", "item", "rating", "timestamp", "popularity", "new"):
        np.testing.assert_array_equal(getattr(shop, name), getattr(again, name))
    for name in VOCABULARIES:
        np.testing.assert_array_equal(shop.attributes[name], again.attributes[name])


def test_another_seed_draws_another_shop(shop: Catalogue) -> None:
    other = draw(replace(shop.spec, seed=shop.spec.seed + 1))
    assert (shop.attributes["colour"] != other.attributes["colour"]).mean() > 0.5
    assert not np.array_equal(shop.user, other.user)


def test_the_shares_are_shares_of_the_variance_of_the_utility() -> None:
    spec = CatalogueSpec(visual=0.5, textual=0.15, popularity=0.05, noise=0.3)
    shop = draw(spec)
    total = utility(shop).var(axis=1)
    for term in TERMS:
        share = (utility(shop, terms=[term]).var(axis=1) / total).mean()
        assert share == pytest.approx(getattr(spec, term), abs=0.03), term


def test_the_terms_add_up_and_blocks_agree_with_the_whole(shop: Catalogue) -> None:
    whole = utility(shop)
    np.testing.assert_allclose(sum(utility(shop, terms=[term]) for term in TERMS), whole, atol=1e-12)
    users = np.array([399, 0, 256, 255, 17])
    np.testing.assert_array_equal(utility(shop, users), whole[users])
    with pytest.raises(ValueError, match="smell"):
        utility(shop, terms=["visual", "smell"])


@pytest.mark.parametrize(("term", "attributes"), [("visual", VISUAL), ("textual", TEXTUAL)])
def test_a_taste_is_linear_in_the_one_hot_attributes(shop: Catalogue, term: str, attributes: dict) -> None:
    columns = [np.eye(len(values))[shop.attributes[name]] for name, values in attributes.items()]
    one_hot = np.hstack(columns)  # (I, values)
    wanted = utility(shop, terms=[term]).T  # (I, U)
    weights, *_ = np.linalg.lstsq(one_hot, wanted, rcond=None)
    np.testing.assert_allclose(one_hot @ weights, wanted, atol=1e-8)


def test_counts_are_exact_and_nobody_takes_an_item_twice(shop: Catalogue) -> None:
    assert len(shop.user) == len(shop.item) == len(shop.rating) == len(shop.timestamp) == 6_000
    assert len(set(zip(shop.user.tolist(), shop.item.tolist(), strict=True))) == 6_000
    of_users = np.bincount(shop.user, minlength=400)
    of_items = np.bincount(shop.item, minlength=400)
    assert of_users.min() >= FLOOR
    assert of_items[~shop.new].min() >= FLOOR
    # Long tails: the mean is well above the median, and the first well above the mean.
    for counts in (of_users, of_items):
        assert counts.mean() > 1.2 * np.median(counts)
        assert counts.max() > 4 * counts.mean()


def test_new_items_are_few_bought_rarely_and_late(shop: Catalogue) -> None:
    assert shop.new.sum() == shop.spec.n_new == 20
    counts = np.bincount(shop.item, minlength=400)[shop.new]
    assert counts.min() >= 1
    assert counts.max() <= NEW_MOST
    late = shop.timestamp[shop.new[shop.item]]
    assert late.min() > np.quantile(shop.timestamp, 0.8)


def test_the_tightest_and_the_fullest_shop_can_be_drawn() -> None:
    for n_users, n_interactions in ((20, 103), (20, 200), (40, 203)):
        spec = CatalogueSpec(n_items=21, n_users=n_users, n_interactions=n_interactions, new_items=0.05)
        shop = draw(spec)
        assert shop.new.sum() == 1
        assert len(shop.user) == n_interactions
        assert np.bincount(shop.item, minlength=21)[~shop.new].min() >= FLOOR
        assert np.bincount(shop.user, minlength=n_users).min() >= FLOOR
        assert len(set(zip(shop.user.tolist(), shop.item.tolist(), strict=True))) == n_interactions


def test_interactions_are_in_order_of_time_over_two_years(shop: Catalogue) -> None:
    assert (np.diff(shop.timestamp) >= 0).all()
    days = (shop.timestamp[-1] - shop.timestamp[0]) / 86_400
    assert 600 < days <= 731
    moments = set(zip(shop.user.tolist(), shop.timestamp.tolist(), strict=True))
    assert len(moments) == 6_000, "a user must have a last interaction"


def test_ratings_rise_with_utility_and_are_mostly_high(shop: Catalogue) -> None:
    assert set(shop.rating.tolist()) == {1, 2, 3, 4, 5}
    assert (shop.rating >= 3).mean() > 0.85
    felt = utility(shop)[shop.user, shop.item]
    means = [felt[shop.rating == rating].mean() for rating in range(1, 6)]
    assert means == sorted(means)
    assert 0.4 < np.corrcoef(felt, shop.rating)[0, 1] < 0.95


def test_attributes_do_not_tell_of_one_another() -> None:
    """Every pair of attributes is as good as independent: their chi-square stays near its expectation."""
    shop = draw(CatalogueSpec(n_items=2_000, n_users=100, n_interactions=12_000))
    names = list(VOCABULARIES)
    for place, first in enumerate(names):
        for second in names[:place]:
            table = np.zeros((len(VOCABULARIES[first]), len(VOCABULARIES[second])))
            np.add.at(table, (shop.attributes[first], shop.attributes[second]), 1)
            expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / table.sum()
            freedom = (table.shape[0] - 1) * (table.shape[1] - 1)
            excess = ((table - expected) ** 2 / expected).sum() - freedom
            assert excess < 5 * np.sqrt(2 * freedom), (first, second)


def _hits(shop: Catalogue, scores: np.ndarray, test: np.ndarray, k: int = 20) -> float:
    """Share of users whose held-out item is among the k best they have not taken otherwise."""
    scores = scores.astype(float)
    train = np.ones(len(shop.user), dtype=bool)
    train[test] = False
    scores[shop.user[train], shop.item[train]] = -np.inf
    own = scores[shop.user[test], shop.item[test]]
    return float(((scores[shop.user[test]] > own[:, None]).sum(axis=1) < k).mean())


def test_tastes_can_be_learnt_from_the_attributes_and_from_nothing_else(shop: Catalogue) -> None:
    """A profile of each user over the attributes finds held-out items; over shuffled ones it does not."""
    test = np.array([np.flatnonzero(shop.user == user)[-1] for user in range(400)])
    train = np.setdiff1d(np.arange(len(shop.user)), test)
    one_hot = np.hstack([np.eye(len(VOCABULARIES[name]))[shop.attributes[name]] for name in (*VISUAL, *TEXTUAL)])
    one_hot -= one_hot.mean(axis=0)
    taken = np.zeros((400, 400))
    taken[shop.user[train], shop.item[train]] = 1

    def by_profile(features: np.ndarray) -> float:
        return _hits(shop, (taken @ features) @ features.T / taken.sum(1, keepdims=True), test)

    shuffled = one_hot[np.random.default_rng(0).permutation(400)]
    oracle = _hits(shop, utility(shop, terms=("visual", "textual", "popularity")), test)
    one_modality = _hits(shop, utility(shop, terms=["visual"]), test)
    assert by_profile(one_hot) > by_profile(shuffled) + 0.1
    assert oracle > by_profile(one_hot) + 0.1
    assert oracle > one_modality + 0.1


@pytest.mark.parametrize(
    "wrong",
    [
        {"visual": 0.5},
        {"visual": -0.1, "textual": 0.8},
        {"noise": float("nan")},
        {"new_items": 0.9},
        {"temperature": 0.0},
        {"n_interactions": 100},
        {"n_interactions": 10_000_000},
        {"n_items": 5},
        {"picture_size": 4},
        {"seed": -1},
    ],
)
def test_a_spec_that_cannot_be_drawn_is_refused(wrong: dict) -> None:
    name = next(iter(wrong))
    with pytest.raises(ValueError, match=r"must|needed") as refusal:
        CatalogueSpec(**wrong)
    assert name in str(refusal.value) or name == "n_items"


def test_ids_are_unique_and_sort_by_index(shop: Catalogue) -> None:
    for ids, count in ((shop.item_ids, 400), (shop.user_ids, 400)):
        assert len(set(ids)) == count
        assert list(ids) == sorted(ids)
