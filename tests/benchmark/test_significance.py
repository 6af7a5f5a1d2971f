"""Tests over users, intervals and effect sizes against scipy, statsmodels, full enumeration and the definitions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nst
from scipy import stats
from statsmodels.stats.multitest import multipletests

from benchmark.evaluation.significance import TESTS, Comparison, OverUsers, compare, holm
from benchmark.evaluation.significance.effects import cohens_d, rank_biserial
from benchmark.evaluation.significance.intervals import Interval
from benchmark.evaluation.significance.resampling import bootstrap_means, share_beyond, sign_flip_means
from benchmark.evaluation.significance.tests import paired_differences, paired_ttest, wilcoxon
from workbench.errors import UserError

GENERATOR = np.random.default_rng(5)
FIRST, SECOND = GENERATOR.beta(2, 3, size=(2, 80))


def judged(comparison: Comparison) -> OverUsers:
    assert comparison.over_users is not None
    return comparison.over_users


def pair(
    first: np.ndarray, second: np.ndarray, tests: tuple[str, ...] = TESTS, resamples: int = 2_000, seed: int = 0
) -> OverUsers:
    """Two models on one metric."""
    values = {"a": first[..., None], "b": second[..., None]}
    (found,) = compare(values, ["Recall@20"], tests, seed, resamples)
    return judged(found)


# tests


def test_the_t_test_is_scipys_and_its_definition() -> None:
    differences = FIRST - SECOND
    t = differences.mean() / (differences.std(ddof=1) / np.sqrt(80))
    found = pair(FIRST, SECOND, ("paired_ttest",))
    assert found.p["paired_ttest"] == pytest.approx(2 * stats.t.sf(abs(t), 79))
    assert found.p["paired_ttest"] == pytest.approx(stats.ttest_rel(FIRST, SECOND).pvalue)
    assert found.error == pytest.approx(stats.sem(differences))


@pytest.mark.parametrize("users", [1, 2, 9, 40, 80])
@pytest.mark.parametrize("levels", [3, 10_000])
def test_wilcoxon_is_scipys_with_and_without_ties_and_zeros(users: int, levels: int) -> None:
    generator = np.random.default_rng(3)
    first, second = generator.integers(0, levels, size=(2, users)) / 16384  # binary fractions: differences are exact
    assert (first != second).any()
    expected = stats.wilcoxon(first, second, zero_method="wilcox").pvalue
    assert pair(first, second, ("wilcoxon_test",)).p["wilcoxon_test"] == pytest.approx(expected)


def test_rounding_makes_neither_ranks_nor_differences() -> None:
    """0.6 - 0.4 is not 0.2 in binary, and the order of the seeds shifts a mean in its last bits."""
    first = np.array([0.6, 0.4, 0.2, 0.9])
    second = np.array([0.4, 0.2, 0.0, 0.1])
    assert len(set((first - second)[:3])) > 1
    assert len(set(paired_differences(first[:, None], second[:, None])[:3, 0])) == 1
    seeds = GENERATOR.random((3, 40))
    assert (seeds.mean(axis=0) != seeds[[1, 2, 0]].mean(axis=0)).any()
    found = pair(seeds, seeds[[1, 2, 0]])
    assert set(found.p.values()) == {1.0}
    assert found.interval == found.bca == (0, 0)
    assert found.effect == found.rank_biserial == 0


def test_the_permutation_test_comes_close_to_all_sign_flips() -> None:
    first, second = FIRST[:10], SECOND[:10]
    differences = first - second
    flips = [abs(np.dot(signs, differences)) for signs in itertools.product((-1, 1), repeat=10)]
    exact = np.mean([flip >= abs(differences.sum()) - 1e-12 for flip in flips])
    reference = stats.permutation_test(
        (first, second), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=np.inf
    )
    assert exact == pytest.approx(reference.pvalue)
    found = pair(first, second, ("permutation_test",), resamples=40_000)
    assert found.p["permutation_test"] == pytest.approx(exact, abs=0.01)


def test_the_signs_are_fair_shared_by_the_models_and_one_a_user() -> None:
    means = sign_flip_means({"a": 11 * np.eye(11), "b": 22 * np.eye(11)}, seed=1, resamples=4_000)
    assert set(np.unique(means["a"])) == {-1, 1}
    np.testing.assert_array_equal(means["b"], 2 * means["a"])
    correlations = means["a"].T @ means["a"] / 4_000
    np.testing.assert_allclose(correlations, np.eye(11), atol=0.08)
    np.testing.assert_allclose(means["a"].mean(axis=0), 0, atol=0.08)


def test_the_bootstrap_test_counts_resamples_of_the_centred_differences() -> None:
    differences = FIRST[:12] - SECOND[:12]
    drawn = np.random.default_rng(3).integers(0, 12, size=(500, 12))
    centred = differences - differences.mean()
    beyond = sum(abs(np.mean([centred[user] for user in row])) >= abs(differences.mean()) for row in drawn)
    found = pair(FIRST[:12], SECOND[:12], ("bootstrap_test",), resamples=500, seed=3)
    assert found.p["bootstrap_test"] == pytest.approx((beyond + 1) / 501)


def test_a_p_value_is_never_zero_by_resampling() -> None:
    assert share_beyond(np.zeros((9, 1)), np.ones(1), 0.0).tolist() == [0.1]


# intervals


def test_the_intervals_are_scipys_for_the_same_draws() -> None:
    skewed = FIRST**6
    found = pair(skewed, SECOND**6, ("bootstrap_test",), seed=11)
    for method, interval in (("percentile", found.interval), ("BCa", found.bca)):
        reference = stats.bootstrap(
            (skewed - SECOND**6,),
            np.mean,
            method=method,
            n_resamples=2_000,
            vectorized=True,
            rng=np.random.default_rng(11),
        )
        assert interval == pytest.approx(tuple(reference.confidence_interval), rel=1e-8)


def test_a_resample_is_the_mean_over_the_users_that_were_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.stack([FIRST, SECOND], axis=1)[None, :6]
    drawn = np.random.default_rng(3).integers(0, 6, size=(50, 6))
    expected = np.array([[values[0, row, column].mean() for column in range(2)] for row in drawn])
    for held in (1, 40, 2**22):  # of blocks of one resample, of six, and of all
        monkeypatch.setattr("benchmark.evaluation.significance.resampling._BLOCK", held)
        np.testing.assert_allclose(bootstrap_means({"a": values}, seed=3, resamples=50)["a"].users, expected)


def test_an_interval_knows_its_side_of_zero() -> None:
    assert Interval(0.1, 0.2).excludes_zero
    assert Interval(-0.2, -0.1).excludes_zero
    assert not Interval(-0.1, 0.2).excludes_zero
    assert not Interval(0.0, 0.2).excludes_zero


# effect sizes


def test_cohens_d_has_the_interval_of_the_bootstrap() -> None:
    differences = GENERATOR.exponential(size=2_000) - 0.8  # skewed: the normal formula would be too wide

    def d(sample: np.ndarray, axis: int) -> np.ndarray:
        return np.asarray(sample.mean(axis=axis) / sample.std(axis=axis, ddof=1))

    effect, interval = cohens_d(differences[:, None])
    assert effect[0] == pytest.approx(d(differences, 0))
    reference = stats.bootstrap((differences,), d, method="percentile", n_resamples=4_000, rng=1)
    low, high = reference.confidence_interval
    assert interval[1, 0] - interval[0, 0] == pytest.approx(high - low, rel=0.06)
    assert interval[:, 0] == pytest.approx([low, high], abs=0.1 * (high - low))


def test_the_interval_of_cohens_d_holds_the_truth_95_times_in_100() -> None:
    _, (low, high) = cohens_d(np.random.default_rng(2).normal(0.5, 1, size=(200, 600)))
    assert 0.93 <= np.mean((low < 0.5) & (high > 0.5)) <= 0.97


def test_rank_biserial_is_the_surplus_of_favourable_ranks() -> None:
    differences = np.array([3.0, -1.0, 0.0, 2.0, 2.0, -5.0])
    ranks = {3.0: 4.0, -1.0: 1.0, 2.0: 2.5, -5.0: 5.0}  # of the absolute values, without the zero
    expected = (ranks[3.0] + 2 * ranks[2.0] - ranks[-1.0] - ranks[-5.0]) / 15
    assert rank_biserial(differences[:, None])[0] == pytest.approx(expected)
    positive = stats.wilcoxon(FIRST - SECOND, alternative="greater").statistic
    assert rank_biserial((FIRST - SECOND)[:, None])[0] == pytest.approx(2 * positive / (80 * 81 / 2) - 1)


# correction


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_multiplies_by_the_hypotheses_that_are_left_and_never_falls(p_values: list[float]) -> None:
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    expected, largest = [0.0] * len(p_values), 0.0
    for done, place in enumerate(order):
        largest = max(largest, p_values[place] * (len(p_values) - done))
        expected[place] = min(largest, 1.0)
    assert holm(p_values) == pytest.approx(expected)
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1], abs=1e-12)


def test_every_pair_is_compared_once_a_metric_and_corrected_within_it() -> None:
    values = {"a": np.stack([FIRST, SECOND], axis=1), "b": np.stack([SECOND, SECOND], axis=1)}
    values["c"] = values["b"] + 0.001 * FIRST[:, None]
    found = compare(values, ["Recall", "HR"], TESTS, resamples=200)
    assert [(each.metric, each.first, each.second) for each in found] == [
        (metric, *names) for metric in ("Recall", "HR") for names in (("a", "b"), ("a", "c"), ("b", "c"))
    ]
    for metric, test in itertools.product(("Recall", "HR"), TESTS):
        own = [judged(each) for each in found if each.metric == metric]
        assert [each.adjusted[test] for each in own] == pytest.approx(holm([each.p[test] for each in own]))
    assert found[0].difference == pytest.approx((FIRST - SECOND).mean())
    assert (found[0].users, found[0].replicates) == (80, (1, 1))
    alone = compare({name: values[name] for name in ("a", "b")}, ["Recall", "HR"], TESTS, resamples=200)
    assert judged(alone[1]).interval == judged(found[3]).interval  # a third model changes the correction only
    assert judged(alone[1]).p == judged(found[3]).p


# properties

arrays = nst.arrays(np.float64, st.tuples(st.just(2), st.integers(1, 8)), elements=st.integers(0, 64))
figures = arrays.map(lambda values: values / 64)  # as metrics are: in 0 .. 1


@settings(max_examples=20, deadline=None)
@given(figures)
def test_swapping_the_models_flips_signs_and_nothing_else(values: np.ndarray) -> None:
    there, back = pair(*values, resamples=99), pair(*values[::-1], resamples=99)
    assert there.p == pytest.approx(back.p)
    assert there.interval == pytest.approx((-back.interval.high, -back.interval.low))
    assert there.bca == pytest.approx((-back.bca.high, -back.bca.low))
    assert there.effect == pytest.approx(-back.effect, nan_ok=True)
    assert there.rank_biserial == pytest.approx(-(back.rank_biserial or 0))


@settings(max_examples=20, deadline=None)
@given(figures, st.integers(-8, 8))
def test_a_constant_for_both_models_changes_nothing(values: np.ndarray, constant: int) -> None:
    plain, shifted = pair(*values, resamples=99), pair(*values + constant, resamples=99)
    assert plain.p == pytest.approx(shifted.p)
    assert plain.interval == pytest.approx(shifted.interval, abs=1e-9)
    assert plain.effect == pytest.approx(shifted.effect, nan_ok=True)


@settings(max_examples=20, deadline=None)
@given(figures, st.randoms(use_true_random=False))
def test_the_order_of_the_users_does_not_matter(values: np.ndarray, random: object) -> None:
    order = list(range(values.shape[1]))
    random.shuffle(order)  # type: ignore[attr-defined]
    exact = ("paired_ttest", "wilcoxon_test")
    plain, moved = pair(*values, exact, resamples=9), pair(*values[:, order], exact, resamples=9)
    assert plain.p == pytest.approx(moved.p)
    assert plain.effect == pytest.approx(moved.effect, nan_ok=True)
    assert plain.rank_biserial == pytest.approx(moved.rank_biserial)


def test_the_order_of_the_users_changes_resampling_by_chance_only() -> None:
    plain, moved = pair(FIRST, SECOND, resamples=10_000), pair(FIRST[::-1], SECOND[::-1], resamples=10_000)
    assert plain.interval == pytest.approx(moved.interval, abs=0.1 * plain.error)
    assert plain.p == pytest.approx(moved.p, abs=0.02)


def test_the_same_seed_gives_the_same_figures_and_another_one_others() -> None:
    assert pair(FIRST, SECOND, seed=1) == pair(FIRST, SECOND, seed=1)
    assert pair(FIRST, SECOND, seed=1).interval != pair(FIRST, SECOND, seed=2).interval


# calibration: each column is an experiment of its own


def rejections(values: dict[str, np.ndarray], test: str) -> float:
    metrics = [str(column) for column in range(values["a"].shape[-1])]
    found = compare(values, metrics, (test,), resamples=1_000)
    return float(np.mean([judged(each).p[test] < 0.05 for each in found]))


@pytest.mark.parametrize("test", TESTS)
def test_without_a_difference_one_experiment_in_twenty_is_called_significant(test: str) -> None:
    generator = np.random.default_rng(8)
    taste = generator.normal(size=(60, 600))  # some users are easy for both models
    both = {name: np.exp(0.5 * (taste + generator.normal(size=(60, 600)))) for name in "ab"}
    assert 0.03 <= rejections(both, test) <= 0.075


@pytest.mark.parametrize("test", TESTS)
def test_a_real_difference_is_found(test: str) -> None:
    generator = np.random.default_rng(9)
    taste = generator.normal(size=(200, 200))
    both = {"a": taste + 0.3 * generator.normal(size=(200, 200)) + 0.1, "b": taste}
    both["b"] = taste + 0.3 * generator.normal(size=(200, 200))
    assert rejections(both, test) > 0.85  # 0.9 in theory: a shift of 3.3 standard errors


# edge cases


def test_equal_models_differ_in_nothing() -> None:
    found = pair(FIRST, FIRST)
    assert found.p == dict.fromkeys(TESTS, 1.0)
    assert found.interval == found.bca == found.effect_interval == (0, 0)
    assert found.effect == found.rank_biserial == found.error == 0


def test_the_same_difference_for_everyone_is_certain() -> None:
    found = pair(FIRST + 0.25, FIRST)
    assert found.p["paired_ttest"] == 0
    assert found.p["bootstrap_test"] == found.p["permutation_test"] == pytest.approx(1 / 2_001)
    assert found.interval == found.bca == pytest.approx((0.25, 0.25))
    assert found.effect == np.inf
    assert pair(FIRST, FIRST + 0.25).effect == -np.inf


def test_one_user_proves_nothing() -> None:
    found = pair(FIRST[:1], SECOND[:1])
    assert found.p == dict.fromkeys(TESTS, 1.0)
    assert np.isnan([found.error, found.effect, *found.effect_interval]).all()
    assert found.interval == pytest.approx(2 * [FIRST[0] - SECOND[0]])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_value_that_is_no_number_is_refused_by_name(bad: float) -> None:
    broken = FIRST.copy()
    broken[3] = bad
    with pytest.raises(UserError, match=r"model b: 1 of 80 values of Recall@20 are not finite"):
        compare({"a": FIRST[:, None], "model b": broken[:, None]}, ["Recall@20"], TESTS)


def test_models_with_other_users_are_refused() -> None:
    with pytest.raises(UserError, match="b was judged on 79 users and a on 80"):
        compare({"a": FIRST[:, None], "b": FIRST[1:, None]}, ["Recall@20"], TESTS)
    with pytest.raises(UserError, match="no user was judged"):
        compare({"a": FIRST[:0, None], "b": FIRST[:0, None]}, ["Recall@20"], TESTS)


def test_one_model_has_nothing_to_be_compared_with() -> None:
    assert compare({"a": FIRST[:, None]}, ["Recall@20"], TESTS) == []


def test_the_formulas_take_columns_apart() -> None:
    columns = np.stack([FIRST - SECOND, np.zeros(80), np.full(80, 0.5)], axis=1)
    assert paired_ttest(columns).tolist() == [pytest.approx(stats.ttest_rel(FIRST, SECOND).pvalue), 1, 0]
    assert wilcoxon(columns)[1] == 1
    assert rank_biserial(columns)[1:].tolist() == [0, 1]
