"""Splitters by time against literal loops over users and moments."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from benchmark.data.interactions import Interactions
from benchmark.data.splitters import Draws, FixedTimestamp, GlobalTime, LeaveOneOut, Splitter, TemporalHoldOut
from workbench.errors import UserError

ROWS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), min_size=1, max_size=40)
SHARES = st.sampled_from([0.1, 0.2, 0.3, 0.5, 0.7, 0.8])


def kept(count: int, ratio: float) -> int:
    """floor(count (1 - ratio)), exactly."""
    return math.floor(count * (1 - Fraction(str(ratio))))


def flags(rule: Splitter, data: Interactions) -> list[bool]:
    """The rows that a rule without folds holds out."""
    ((held_out, shown),) = rule.cuts(data, Draws(0))
    assert shown is None
    return held_out.tolist()


def interactions(rows: list[tuple[int, int]]) -> Interactions:
    """Rows of (user, time); every row is an item of its own, and later rows have smaller item ids."""
    users, times = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    names = np.array([f"n{number}" for number in range(6)], dtype=object)
    items = np.arange(len(rows))[::-1]
    item_ids = np.array([f"i{item:02}" for item in range(len(rows))], dtype=object)
    return Interactions(users, items, names, item_ids, np.ones(len(rows)), None, times)


@given(ROWS, SHARES, st.none() | st.integers(1, 3))
def test_the_last_rows_of_each_user_are_held_out(rows: list[tuple[int, int]], ratio: float, number: int | None) -> None:
    splitter = TemporalHoldOut(None, number) if number else TemporalHoldOut(ratio, None)
    expected = [False] * len(rows)
    for user in {user for user, _ in rows}:
        own = [place for place, row in enumerate(rows) if row[0] == user]
        own.sort(key=lambda place: (rows[place][1], -place))  # of one moment, the smaller item id first
        for place in own[max(len(own) - number, 0) if number else kept(len(own), ratio) :]:
            expected[place] = True
    assert flags(splitter, interactions(rows)) == expected


def test_rows_of_one_pair_and_moment_count_by_rating() -> None:
    names = np.array(["a"], dtype=object)
    same = np.zeros(3, dtype=np.int64)
    data = Interactions(same, same, names, names, np.array([2.0, 3.0, 1.0]), None, same)
    assert flags(TemporalHoldOut(None, 1), data) == [False, True, False]


@given(ROWS)
def test_leave_one_out_takes_the_last_row_of_every_user_who_has_another(rows: list[tuple[int, int]]) -> None:
    expected = [False] * len(rows)
    for user in {user for user, _ in rows}:
        own = [place for place, row in enumerate(rows) if row[0] == user]
        if len(own) > 1:
            expected[max(own, key=lambda place: (rows[place][1], -place))] = True
    assert flags(LeaveOneOut(), interactions(rows)) == expected


def test_leave_one_out_without_timestamps_draws_a_row_and_says_so(log: list[str]) -> None:
    rows = [(user, 0) for user in (0, 0, 0, 1, 2, 2)]
    data = replace(interactions(rows), timestamps=None)
    held_out = [LeaveOneOut().cuts(data, Draws(seed))[0].held_out for seed in range(40)]
    assert {tuple(np.bincount(data.users[rows], minlength=3)) for rows in held_out} == {(1, 0, 1)}
    assert np.any(held_out, axis=0).tolist() == [True, True, True, False, True, True]
    assert any("no timestamps" in line for line in log)


@given(ROWS, SHARES)
def test_a_global_cut_holds_out_the_last_share_of_all_rows_and_parts_no_moment(
    rows: list[tuple[int, int]], ratio: float
) -> None:
    times = sorted(time for _, time in rows)
    moment = times[kept(len(times), ratio)]
    expected = [time >= moment for _, time in rows]
    assert flags(GlobalTime(ratio), interactions(rows)) == expected
    assert sum(expected) >= len(rows) - kept(len(rows), ratio)


def test_shares_of_time_are_exact() -> None:
    five = interactions([(0, time) for time in range(5)])  # 5 (1 - .8) is .99... in double precision
    assert flags(TemporalHoldOut(0.8), five) == flags(GlobalTime(0.8), five) == [False, True, True, True, True]


def test_a_global_cut_of_next_to_nothing_still_holds_out_the_last_moment() -> None:
    assert flags(GlobalTime(1e-18), interactions([(0, 3), (1, 5), (2, 5)])) == [False, True, True]


def test_every_row_from_a_moment_on_is_held_out() -> None:
    data = interactions([(0, 1), (0, 5), (1, 4), (1, 9)])
    assert flags(FixedTimestamp(5), data) == [False, True, False, True]


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
    assert flags(FixedTimestamp("best", below, over), interactions(rows)) == [time >= best for _, time in rows]


def test_no_moment_that_suits_anyone_is_said_so() -> None:
    with pytest.raises(UserError, match="no moment leaves any user 2 rows before it"):
        flags(FixedTimestamp("best", 2, 1), interactions([(0, 1), (1, 2)]))


@pytest.mark.parametrize("rule", [TemporalHoldOut(0.2), GlobalTime(0.2), FixedTimestamp(1)])
def test_splitting_by_time_without_timestamps_is_refused(rule: Splitter) -> None:
    names = np.array(["a"], dtype=object)
    data = Interactions(np.zeros(1, int), np.zeros(1, int), names, names, np.ones(1), None, None)
    with pytest.raises(UserError, match="needs timestamps"):
        flags(rule, data)
