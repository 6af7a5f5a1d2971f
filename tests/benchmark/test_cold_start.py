"""Users and items that are held out whole."""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from bench_cases import drawn_interactions
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.data.splitters import Draws, ItemColdStart, Parts, UserColdStart, split
from workbench.errors import UserError

SEEDS = st.integers(0, 1000)


@settings(max_examples=40, deadline=None)
@given(
    data=SEEDS,
    seed=SEEDS,
    users=st.sampled_from([0.1, 0.2, 0.29, 3.0, 7.0]),
    fold_in=st.sampled_from([0.5, 0.7, 0.8, 0.9]),
    min_rows=st.integers(1, 8),
)
def test_cold_users_show_some_rows_and_have_the_others_to_find(
    data: int, seed: int, users: float, fold_in: float, min_rows: int
) -> None:
    rows = drawn_interactions(data)
    counts = Counter(rows.users.tolist())
    ((held_out, shown),) = UserColdStart(users, fold_in, min_rows).cuts(rows, Draws(seed))
    assert shown is not None and not (held_out & shown).any()
    cold = set(rows.users[held_out | shown].tolist())
    assert not cold & set(rows.users[~(held_out | shown)].tolist())
    assert len(cold) == (math.floor(Fraction(str(users)) * len(counts)) if users < 1 else users)
    for user in cold:
        found = int(held_out[rows.users == user].sum())
        expected = counts[user] - math.ceil(Fraction(str(fold_in)) * counts[user])
        assert found == (expected if counts[user] >= min_rows else 0)


def test_the_default_shows_four_rows_in_five() -> None:
    rows = drawn_interactions(0, least=5, most=5)
    ((held_out, shown),) = UserColdStart(10).cuts(rows, Draws(0))
    assert shown is not None
    assert (int(held_out.sum()), int(shown.sum())) == (10, 40)


def test_validation_and_test_users_are_different_and_none_trains() -> None:
    parts = split(drawn_interactions(0, n_users=50), UserColdStart(0.2), UserColdStart(10), 3)
    assert parts.validation is not None and parts.validation_input is not None and parts.test_input is not None
    train, validation, test = (
        set(np.concatenate([part.users for part in group]).tolist())
        for group in ((parts.train,), (parts.validation, parts.validation_input), (parts.test, parts.test_input))
    )
    assert not train & validation and not train & test and not validation & test
    assert (len(test), len(validation)) == (10, 10)


def test_every_user_and_every_row_of_a_cold_user_has_the_same_chance() -> None:
    rows = drawn_interactions(0, n_users=10, least=10, most=10)
    draws = Draws(0)
    cuts = [UserColdStart(0.3).cuts(rows, draws)[0] for _ in range(2000)]
    found = np.mean([cut.held_out for cut in cuts], axis=0)
    seen = np.mean([cut.shown for cut in cuts if cut.shown is not None], axis=0)
    assert np.abs(found - 0.3 * 0.2).max() < 0.03
    assert np.abs(seen - 0.3 * 0.8).max() < 0.05


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        (UserColdStart(25), "training"),
        (UserColdStart(99), "training"),
        (UserColdStart(0.01), "test"),
        (UserColdStart(5, min_rows=26), "test"),
        (ItemColdStart(0.01), "test"),
    ],
)
def test_too_many_or_too_few_are_refused(rule: UserColdStart | ItemColdStart, name: str) -> None:
    with pytest.raises(UserError, match=f"the {name} split came out empty"):
        split(drawn_interactions(0), rule, None)


def literal_strata(counts: dict[int, int], strata: int) -> list[list[int]]:
    items = sorted(counts, key=lambda item: (counts[item], item))
    bounds = [number * len(items) // strata for number in range(strata + 1)]
    return [items[start:end] for start, end in pairwise(bounds)]


@settings(max_examples=40, deadline=None)
@given(data=SEEDS, seed=SEEDS, share=st.sampled_from([0.1, 0.2, 0.29, 0.5]), strata=st.integers(1, 45))
def test_cold_items_are_a_share_of_each_stratum_of_popularity(data: int, seed: int, share: float, strata: int) -> None:
    rows = drawn_interactions(data)
    ((held_out, shown),) = ItemColdStart(share, strata).cuts(rows, Draws(seed))
    assert shown is None
    cold = set(rows.items[held_out].tolist())
    assert not cold & set(rows.items[~held_out].tolist())
    counts = Counter(rows.items.tolist())
    assert len(cold) == math.floor(Fraction(str(share)) * len(counts))
    for stratum in literal_strata(counts, strata):
        assert abs(len(cold & set(stratum)) - share * len(stratum)) < 1


def test_every_item_of_a_stratum_has_the_same_chance() -> None:
    rows = drawn_interactions(0)
    draws = Draws(0)
    times = Counter[int]()
    for _ in range(2000):
        times.update(set(rows.items[ItemColdStart(0.5, 3).cuts(rows, draws)[0].held_out].tolist()))
    assert all(abs(times[item] / 2000 - 0.5) < 0.05 for item in set(rows.items.tolist()))


def test_cold_items_of_validation_and_test_are_different() -> None:
    parts: Parts = split(drawn_interactions(0), ItemColdStart(0.2), ItemColdStart(0.2))
    assert parts.validation is not None
    groups = [set(part.items.tolist()) for part in (parts.train, parts.validation, parts.test)]
    assert sum(map(len, groups)) == len(set.union(*groups))
