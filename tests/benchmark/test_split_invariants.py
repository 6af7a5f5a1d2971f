"""What holds for every way to split: rows are parted, not lost; the seed decides, the order of the file does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from bench_cases import drawn_interactions
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmark.data.interactions import Interactions
from benchmark.data.splitters import (
    AlignMacridVAE,
    FixedTimestamp,
    GlobalTime,
    ItemColdStart,
    LeaveOneOut,
    MMRec,
    MultVAE,
    Parts,
    RandomCrossValidation,
    RandomHoldOut,
    RandomKFold,
    RandomSubsampling,
    Recipe,
    Splitter,
    TemporalHoldOut,
    UserColdStart,
    split_folds,
)

Rows = Counter[tuple[str, str, float, int]]
Way = Callable[[Interactions, int], list[list[Parts]]]


def by_rules(test: Splitter, validation: Splitter) -> Way:
    return lambda data, seed: split_folds(data, test, validation, seed)


def by_recipe(recipe: Recipe) -> Way:
    return lambda data, seed: [[recipe.parts(data, seed)]]


DRAWN: dict[str, Way] = {
    "random_hold_out": by_rules(RandomHoldOut(0.2), RandomHoldOut(leave_n_out=1)),
    "random_hold_out in folds": by_rules(RandomHoldOut(0.3, folds=2), RandomHoldOut(0.2, folds=2)),
    "random_k_fold": by_rules(RandomKFold(3), RandomKFold(2)),
    "user_cold_start": by_rules(UserColdStart(0.2), UserColdStart(4, 0.5, 2)),
    "user_cold_start, then random_hold_out": by_rules(UserColdStart(3), RandomHoldOut(0.2)),
    "item_cold_start": by_rules(ItemColdStart(0.2), ItemColdStart(0.2, 3)),
    "mmrec": by_recipe(MMRec()),
    "align_macridvae": by_recipe(AlignMacridVAE()),
    "mult_vae": by_recipe(MultVAE(0.2)),
}
TIMED: dict[str, Way] = {
    "temporal_hold_out": by_rules(TemporalHoldOut(0.2), TemporalHoldOut(leave_n_out=1)),
    "leave_one_out": by_rules(LeaveOneOut(), LeaveOneOut()),
    "global_time": by_rules(GlobalTime(0.2), GlobalTime(0.1)),
    "fixed_timestamp": by_rules(FixedTimestamp("best", 2, 2), FixedTimestamp("best", 1, 1)),
}
LEGACY: dict[str, Way] = {
    "random_subsampling": by_rules(RandomSubsampling(0.2), RandomSubsampling(0.1)),
    "random_cross_validation": by_rules(RandomCrossValidation(3), RandomCrossValidation(2)),
}
EVERY = DRAWN | TIMED | LEGACY


def rows_of(part: Interactions | None) -> Rows:
    if part is None:
        return Counter()
    assert part.timestamps is not None
    columns = (part.user_ids[part.users], part.item_ids[part.items], part.ratings, part.timestamps)
    return Counter(zip(*(column.tolist() for column in columns), strict=True))


def five(parts: Parts) -> list[Rows]:
    named = (parts.train, parts.validation, parts.test, parts.validation_input, parts.test_input)
    return [rows_of(part) for part in named]


def contents(folds: list[list[Parts]]) -> list[list[Rows]]:
    return [five(parts) for inner in folds for parts in inner]


@pytest.mark.parametrize("name", EVERY)
def test_every_row_lands_in_exactly_one_part(name: str) -> None:
    for seed in range(5):
        data = drawn_interactions(seed)
        everything = rows_of(data)
        for inner in EVERY[name](data, seed):
            for parts in inner:
                made = sum(five(parts), Counter[tuple[str, str, float, int]]())
                assert max(made.values()) == 1
                if name == "mult_vae":  # rows on items without training rows are dropped
                    trained = set(parts.train.items.tolist())
                    kept = np.isin(data.items, list(trained))
                    assert made == rows_of(data.select(kept))
                else:
                    assert made == everything


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.integers(0, 500), seed=st.integers(0, 2**32 - 1), turn=st.integers(0, 2**32 - 1))
@pytest.mark.parametrize("name", DRAWN | TIMED)
def test_the_order_of_the_file_is_without_effect(name: str, data: int, seed: int, turn: int) -> None:
    """Times are drawn from few moments, so that rows of one moment are common."""
    rows = drawn_interactions(data)
    turned = rows.select(np.random.default_rng(turn).permutation(len(rows)))
    way = (DRAWN | TIMED)[name]
    assert contents(way(rows, seed)) == contents(way(turned, seed))


def test_elliots_own_rules_follow_the_order_of_the_file() -> None:
    rows = drawn_interactions(0)
    turned = rows.select(np.arange(len(rows))[::-1])
    for way in LEGACY.values():
        assert contents(way(rows, 1)) != contents(way(turned, 1))


@pytest.mark.parametrize("name", DRAWN)
def test_the_seed_decides(name: str) -> None:
    data = drawn_interactions(0)
    assert contents(DRAWN[name](data, 7)) == contents(DRAWN[name](data, 7))
    assert contents(DRAWN[name](data, 7)) != contents(DRAWN[name](data, 8))


@pytest.mark.parametrize("name", EVERY)
def test_rows_keep_their_order(name: str) -> None:
    data = drawn_interactions(2)
    place = {row: number for number, row in enumerate(zip(data.users.tolist(), data.items.tolist(), strict=True))}
    for inner in EVERY[name](data, 3):
        for parts in inner:
            for part in (parts.train, parts.validation, parts.test, parts.validation_input, parts.test_input):
                if part is not None:
                    places = [place[row] for row in zip(part.users.tolist(), part.items.tolist(), strict=True)]
                    assert places == sorted(places)


def test_no_rule_disturbs_numpys_global_generator() -> None:
    np.random.seed(5)
    expected = np.random.rand()
    np.random.seed(5)
    for way in EVERY.values():
        way(drawn_interactions(1), 1)
    assert np.random.rand() == expected
