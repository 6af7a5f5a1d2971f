"""Random hold-out and cross-validation: counts, chances, and literal versions."""

from __future__ import annotations

import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from bench_cases import drawn_interactions
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.data.splitters import Draws, RandomCrossValidation, RandomHoldOut, RandomKFold, RandomSubsampling
from benchmark.data.splitters.ordering import canonical_order, drawn_places, kept_rows, number_of, share_of

RATIOS = [number / 100 for number in range(5, 91)]


def exactly_kept(count: int, ratio: float) -> int:
    return math.floor(count * (1 - Fraction(str(ratio))))


def literal_places(users: list[int], items: list[int], keys: list[float]) -> list[int]:
    """Place of each row among its user's, with one key a row, handed out by user and item."""
    rows = sorted(range(len(users)), key=lambda row: (users[row], items[row]))
    key = dict(zip(rows, keys, strict=True))
    return [
        sum(users[other] == users[row] and key[other] < key[row] for other in range(len(users)))
        for row in range(len(users))
    ]


@settings(max_examples=20, deadline=None)
@given(data=st.integers(0, 1000), seed=st.integers(0, 1000), ratio=st.sampled_from(RATIOS), number=st.integers(1, 30))
def test_a_hold_out_is_the_end_of_a_random_order_of_each_users_rows(
    data: int, seed: int, ratio: float, number: int
) -> None:
    rows = drawn_interactions(data, n_users=8)
    users, items = rows.users.tolist(), rows.items.tolist()
    places = literal_places(users, items, np.random.default_rng(seed).random(len(rows)).tolist())
    counts = Counter(users)
    expected = [place >= exactly_kept(counts[user], ratio) for place, user in zip(places, users, strict=True)]
    assert RandomHoldOut(ratio).cuts(rows, Draws(seed))[0].held_out.tolist() == expected
    expected = [place >= max(counts[user] - number, 0) for place, user in zip(places, users, strict=True)]
    assert RandomHoldOut(leave_n_out=number).cuts(rows, Draws(seed))[0].held_out.tolist() == expected


def test_elliots_subsampling_floors_in_double_precision_and_a_hold_out_exactly() -> None:
    rows = drawn_interactions(0, n_users=1, least=5, most=5)
    assert (
        RandomSubsampling(0.8).cuts(rows, Draws(1))[0].held_out.sum() == 5
    )  # 5 (1 - .8) is .99... in double precision
    assert RandomHoldOut(0.8).cuts(rows, Draws(1))[0].held_out.sum() == 4
    rows = drawn_interactions(0, n_users=1, n_items=90, least=90, most=90)
    assert RandomSubsampling(0.3).cuts(rows, Draws(1))[0].held_out.sum() == 28
    assert RandomHoldOut(0.3).cuts(rows, Draws(1))[0].held_out.sum() == 27


def test_every_row_of_a_user_has_the_same_chance() -> None:
    rows = drawn_interactions(0, n_users=1, least=10, most=10)
    draws = Draws(0)
    times = sum(RandomHoldOut(0.3).cuts(rows, draws)[0].held_out.astype(int) for _ in range(2000))
    assert isinstance(times, np.ndarray)
    assert np.abs(times / 2000 - 0.3).max() < 0.05


def test_folds_of_a_hold_out_are_independent_draws() -> None:
    rows = drawn_interactions(0)
    one, other = RandomHoldOut(0.5, folds=2).cuts(rows, Draws(0))
    assert (one.held_out & other.held_out).any()
    assert (one.held_out != other.held_out).any()


@given(data=st.integers(0, 1000), folds=st.integers(2, 7))
def test_elliots_cross_validation_deals_out_in_file_order(data: int, folds: int) -> None:
    rows = drawn_interactions(data)
    seen = Counter[int]()
    expected = []
    for user in rows.users.tolist():
        expected.append(seen[user] % folds)
        seen[user] += 1
    made = RandomCrossValidation(folds).cuts(rows, Draws(0))
    assert [cut.held_out.tolist() for cut in made] == [[fold == own for own in expected] for fold in range(folds)]


@given(data=st.integers(0, 1000), seed=st.integers(0, 1000), folds=st.integers(2, 7))
def test_random_folds_share_every_user_and_the_whole_within_one_row(data: int, seed: int, folds: int) -> None:
    rows = drawn_interactions(data)
    made = np.stack([cut.held_out for cut in RandomKFold(folds).cuts(rows, Draws(seed))])
    assert (made.sum(axis=0) == 1).all()
    sizes = made.sum(axis=1)
    assert sizes.max() - sizes.min() <= 1
    shares = np.stack([np.bincount(rows.users[held_out], minlength=25) for held_out in made])
    assert (shares.max(axis=0) - shares.min(axis=0)).max() <= 1


def test_every_row_has_the_same_chance_of_every_fold() -> None:
    rows = drawn_interactions(0, n_users=5, least=1, most=8)
    draws = Draws(0)
    times = sum(RandomKFold(3).cuts(rows, draws)[0].held_out.astype(int) for _ in range(3000))
    assert isinstance(times, np.ndarray)
    assert np.abs(times / 3000 - 1 / 3).max() < 0.05


@pytest.mark.parametrize("ratio", [*(number / 20 for number in range(1, 19)), 0.3333, 0.123456789])
def test_kept_rows_are_the_exact_floor(ratio: float) -> None:
    counts = np.arange(2001)
    assert kept_rows(counts, ratio, None).tolist() == [exactly_kept(n, ratio) for n in range(2001)]


@given(counts=st.lists(st.integers(0, 5000), min_size=1), number=st.integers(1, 99))
def test_leaving_n_out_keeps_the_others(counts: list[int], number: int) -> None:
    assert kept_rows(np.array(counts), None, number).tolist() == [max(n - number, 0) for n in counts]


@given(count=st.integers(0, 10**7), parts=st.integers(1, 99))
def test_shares_are_the_decimals_that_were_written(count: int, parts: int) -> None:
    assert share_of(np.array(count), parts / 100) == count * parts // 100
    assert number_of(count, parts / 100) == count * parts // 100
    assert number_of(count, float(parts)) == parts


def test_rows_of_one_pair_are_ordered_by_time_and_rating() -> None:
    rows = drawn_interactions(0, n_users=1, n_items=1, least=1, most=1)
    twice = rows.select(np.zeros(4, dtype=np.int64))
    assert rows.timestamps is not None and twice.timestamps is not None
    twice.timestamps[:] = [3, 1, 3, 2]
    twice.ratings[:] = [2, 5, 1, 4]
    assert canonical_order(twice).tolist() == [1, 3, 2, 0]


def test_nothing_is_drawn_for_no_rows() -> None:
    none = drawn_interactions(0).select(np.zeros(0, dtype=np.int64))
    assert drawn_places(none, np.random.default_rng(0)).tolist() == []


@pytest.mark.parametrize("rule", [RandomHoldOut(0.2), RandomKFold(2)])
def test_the_draws_of_the_published_splits_are_left_alone(rule: RandomHoldOut | RandomKFold) -> None:
    draws = Draws(3)
    rule.cuts(drawn_interactions(0), draws)
    assert draws.legacy.randint(1000) == np.random.RandomState(3).randint(1000)
