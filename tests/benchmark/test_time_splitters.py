"""Splitters by time against literal loops over users and moments."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from benchmark.data.interactions import Interactions
from benchmark.data.splitters import FixedTimestamp, TemporalHoldOut
from workbench.errors import UserError

ROWS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), min_size=1, max_size=40)
UNUSED = np.random.RandomState(0)


def interactions(rows: list[tuple[int, int]]) -> Interactions:
    """Rows of (user, time); every row is an item of its own."""
    users, times = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    names = np.array([f"n{number}" for number in range(6)], dtype=object)
    items = np.arange(len(rows))
    item_ids = np.array([f"i{item}" for item in items], dtype=object)
    return Interactions(users, items, names, item_ids, np.ones(len(rows)), None, times)


@given(ROWS, st.sampled_from([0.1, 0.2, 0.5]), st.none() | st.integers(1, 3))
def test_the_last_rows_of_each_user_are_held_out(rows: list[tuple[int, int]], ratio: float, number: int | None) -> None:
    splitter = TemporalHoldOut(None, number) if number else TemporalHoldOut(ratio, None)
    expected = [False] * len(rows)
    for user in {user for user, _ in rows}:
        own = [place for place, row in enumerate(rows) if row[0] == user]
        own.sort(key=lambda place: (rows[place][1], place))
        kept = max(len(own) - number, 0) if number else math.floor(len(own) * (1 - ratio))
        for place in own[kept:]:
            expected[place] = True
    assert splitter.held_out(interactions(rows), UNUSED).tolist() == expected


def test_every_row_from_a_moment_on_is_held_out() -> None:
    data = interactions([(0, 1), (0, 5), (1, 4), (1, 9)])
    assert FixedTimestamp(5).held_out(data, UNUSED).tolist() == [False, True, False, True]


@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(ROWS, st.integers(1, 2), st.integers(1, 2))
def test_the_best_moment_suits_most_users_and_is_the_latest_of_those(
    rows: list[tuple[int, int]], below: int, over: int
) -> None:
    def suited(moment: int) -> int:
        users = {user for user, _ in rows}
        return sum(
            sum(time < moment for owner, time in rows if owner == user) >= below
            and sum(time >= moment for owner, time in rows if owner == user) >= over
            for user in users
        )

    moments = sorted({time for _, time in rows})
    most = max(suited(moment) for moment in moments)
    assume(most > 0)
    best = max(moment for moment in moments if suited(moment) == most)
    flags = FixedTimestamp("best", below, over).held_out(interactions(rows), UNUSED)
    assert flags.tolist() == [time >= best for _, time in rows]


def test_no_moment_that_suits_anyone_is_said_so() -> None:
    with pytest.raises(UserError, match="no moment leaves any user 2 rows before it"):
        FixedTimestamp("best", 2, 1).held_out(interactions([(0, 1), (1, 2)]), UNUSED)


def test_splitting_by_time_without_timestamps_is_refused() -> None:
    names = np.array(["a"], dtype=object)
    data = Interactions(np.zeros(1, int), np.zeros(1, int), names, names, np.ones(1), None, None)
    with pytest.raises(UserError, match="needs timestamps"):
        TemporalHoldOut(0.2).held_out(data, UNUSED)
