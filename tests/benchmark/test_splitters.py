"""The splitter against the published algorithm, written out with lists."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from bench_cases import Row, decoded, interactions, random_reviews
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.data.interactions import Interactions
from benchmark.data.splitters import (
    FixedTimestamp,
    GlobalTime,
    ItemColdStart,
    LeaveOneOut,
    RandomCrossValidation,
    RandomHoldOut,
    RandomKFold,
    RandomSubsampling,
    Splitter,
    TemporalHoldOut,
    UserColdStart,
    split,
    split_folds,
)
from workbench.errors import UserError


def cut(rows: Sequence[Row], generator: np.random.RandomState, ratio: float | None, n_out: int | None) -> list[int]:
    """0 or 1 for every row, drawn user by user in the order of their names."""
    places: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        places.setdefault(row[0], []).append(place)
    flags = [0] * len(rows)
    for user in sorted(places):
        n = len(places[user])
        kept = max(n - n_out, 0) if n_out is not None else math.floor(n * (1 - (ratio or 0)))
        drawn = [0] * kept + [1] * (n - kept)
        generator.shuffle(drawn)
        for place, flag in zip(places[user], drawn, strict=True):
            flags[place] = flag
    return flags


def literal_folds(
    rows: Sequence[Row],
    seed: int,
    test: tuple[float | None, int | None, int],
    validation: tuple[float | None, int | None, int],
) -> list[list[tuple[list[Row], list[Row], list[Row]]]]:
    """Train, validation and test rows, `[test fold][validation fold]`: all test folds are drawn before the others."""

    def parted(flags: list[int], rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
        marked = list(zip(rows, flags, strict=True))
        return [row for row, flag in marked if not flag], [row for row, flag in marked if flag]

    generator = np.random.RandomState(seed)
    outer = [parted(cut(rows, generator, *test[:2]), rows) for _ in range(test[2])]
    return [
        [(*parted(cut(rest, generator, *validation[:2]), rest), held_out) for _ in range(validation[2])]
        for rest, held_out in outer
    ]


def literal_split(
    rows: Sequence[Row], seed: int, test: tuple[float | None, int | None], validation: tuple[float | None, int | None]
) -> tuple[list[Row], list[Row], list[Row]]:
    generator = np.random.RandomState(seed)
    flags = cut(rows, generator, *test)
    rest = [row for row, flag in zip(rows, flags, strict=True) if not flag]
    held_out = [row for row, flag in zip(rows, flags, strict=True) if flag]
    flags = cut(rest, generator, *validation)
    train = [row for row, flag in zip(rest, flags, strict=True) if not flag]
    return train, [row for row, flag in zip(rest, flags, strict=True) if flag], held_out


def same(part: Interactions | None, rows: Sequence[Row]) -> bool:
    assert part is not None
    return [row[:2] for row in decoded(part)] == [row[:2] for row in rows]


@settings(max_examples=40)
@given(
    data=st.integers(0, 10_000),
    seed=st.integers(0, 2**32 - 1),
    test=st.sampled_from([(0.2, None), (0.1, None), (0.5, None), (0.35, None), (None, 1), (None, 3)]),
    validation=st.sampled_from([(0.1, None), (0.5, None), (None, 1)]),
)
def test_the_splitter_is_the_published_algorithm_draw_for_draw(
    tmp_path_factory: pytest.TempPathFactory,
    data: int,
    seed: int,
    test: tuple[float | None, int | None],
    validation: tuple[float | None, int | None],
) -> None:
    rows = random_reviews(data, n_users=15, n_items=30, most=25)
    train, held_validation, held_out = literal_split(rows, seed, test, validation)
    parts = split(
        interactions(tmp_path_factory.mktemp("split"), rows),
        RandomSubsampling(*test),
        RandomSubsampling(*validation),
        seed,
    )
    assert same(parts.train, train)
    assert same(parts.validation, held_validation)
    assert same(parts.test, held_out)


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1), outer=st.integers(1, 3), inner=st.integers(1, 3))
def test_folds_are_repetitions_that_draw_on_test_folds_first(
    tmp_path_factory: pytest.TempPathFactory, seed: int, outer: int, inner: int
) -> None:
    rows = random_reviews(seed % 7, n_users=12, n_items=30, most=20)
    expected = literal_folds(rows, seed, (0.2, None, outer), (None, 1, inner))
    data = interactions(tmp_path_factory.mktemp("split"), rows)
    folds = split_folds(data, RandomSubsampling(0.2, folds=outer), RandomSubsampling(leave_n_out=1, folds=inner), seed)
    assert [len(made) for made in folds] == [inner] * outer
    for made, wanted in zip(folds, expected, strict=True):
        for parts, (train, validation, test) in zip(made, wanted, strict=True):
            assert same(parts.train, train)
            assert same(parts.validation, validation)
            assert same(parts.test, test)


def test_several_folds_are_not_taken_for_one_split(tmp_path: Path) -> None:
    data = interactions(tmp_path, random_reviews(3))
    with pytest.raises(UserError, match=r"2 x 1 folds \(test x validation\) where one split is expected"):
        split(data, RandomSubsampling(0.2, folds=2), RandomSubsampling(0.1))
    with pytest.raises(UserError, match="1 x 3 folds"):
        split(data, RandomSubsampling(0.2), RandomSubsampling(0.1, folds=3))


@settings(max_examples=25)
@given(data=st.integers(0, 1000), seed=st.integers(0, 1000), ratio=st.floats(0.05, 0.6))
def test_every_row_lands_in_exactly_one_part_in_file_order_and_every_user_gives_his_share(
    tmp_path_factory: pytest.TempPathFactory, data: int, seed: int, ratio: float
) -> None:
    rows = random_reviews(data, n_users=12, n_items=25)
    parts = split(
        interactions(tmp_path_factory.mktemp("split"), rows), RandomSubsampling(ratio), RandomSubsampling(0.4), seed
    )
    assert parts.validation is not None
    names = [[row[:2] for row in decoded(part)] for part in (parts.train, parts.validation, parts.test)]
    assert sorted(pair for part in names for pair in part) == sorted(row[:2] for row in rows)
    for part in names:
        places = [[row[:2] for row in rows].index(pair) for pair in part]
        assert places == sorted(places)
    for user in {row[0] for row in rows}:
        n = sum(row[0] == user for row in rows)
        assert sum(name == user for name, _ in names[2]) == n - math.floor(n * (1 - ratio))


def test_users_are_visited_in_the_order_of_their_names_not_of_the_file(tmp_path: Path) -> None:
    rows = random_reviews(3)
    turned = rows[::-1]
    one = split(interactions(tmp_path, rows), RandomSubsampling(0.2), None)
    other = split(interactions(tmp_path, turned), RandomSubsampling(0.2), None)
    expected = cut(turned, np.random.RandomState(42), 0.2, None)
    assert same(other.test, [row for row, flag in zip(turned, expected, strict=True) if flag])
    assert sorted(decoded(one.test)) != sorted(decoded(other.test))


def test_the_seed_decides_and_42_is_the_default(tmp_path: Path) -> None:
    data = interactions(tmp_path, random_reviews(3))
    rule = RandomSubsampling(0.2)
    assert decoded(split(data, rule, rule).test) == decoded(split(data, rule, rule, 42).test)
    assert decoded(split(data, rule, rule, 43).test) != decoded(split(data, rule, rule, 42).test)


def test_splitting_does_not_disturb_numpys_global_generator(tmp_path: Path) -> None:
    data = interactions(tmp_path, random_reviews(3))
    np.random.seed(5)
    expected = np.random.rand()
    np.random.seed(5)
    split(data, RandomSubsampling(0.2), None)
    assert np.random.rand() == expected


def test_leave_n_out_holds_out_that_many_rows_of_every_user_who_has_them(tmp_path: Path) -> None:
    rows = [(user, f"i{item}", 1) for user, n in (("a", 1), ("b", 2), ("c", 5)) for item in range(n)]
    parts = split(interactions(tmp_path, rows), RandomSubsampling(leave_n_out=2), None)
    assert parts.validation is None
    assert [user for user, _, _ in decoded(parts.test)] == ["a", "b", "b", "c", "c"]
    assert [user for user, _, _ in decoded(parts.train)] == ["c", "c", "c"]


@pytest.mark.parametrize(
    ("rows_a_user", "test", "validation", "name"),
    [
        (1, RandomSubsampling(0.2), RandomSubsampling(0.1), "training"),
        (2, RandomSubsampling(0.2), RandomSubsampling(0.1), "training"),
        (3, RandomSubsampling(leave_n_out=3), None, "training"),
        (3, RandomSubsampling(leave_n_out=1), RandomSubsampling(leave_n_out=2), "training"),
    ],
)
def test_a_part_that_comes_out_empty_is_refused_by_name(
    tmp_path: Path, rows_a_user: int, test: RandomSubsampling, validation: RandomSubsampling | None, name: str
) -> None:
    rows = [(f"u{user}", f"i{item}", 1) for user in range(4) for item in range(rows_a_user)]
    with pytest.raises(UserError, match=f"the {name} split came out empty") as caught:
        split(interactions(tmp_path, rows), test, validation)
    assert "interactions of 4 users" in caught.value.what


@pytest.mark.parametrize(
    ("rule", "rows_a_user", "empty", "remedy"),
    [
        (RandomSubsampling(0.9), 2, "training", "lower `test_ratio` (here 0.9)"),
        (RandomHoldOut(leave_n_out=3), 2, "training", "lower `leave_n_out` (here 3)"),
        (TemporalHoldOut(leave_n_out=3), 2, "training", "lower `leave_n_out` (here 3)"),
        (RandomCrossValidation(5), 2, "test", "lower `folds` (here 5)"),
        (RandomKFold(9), 2, "test", "lower `folds` (here 9)"),
        (LeaveOneOut(), 1, "test", "bring users with two interactions or more"),
        (GlobalTime(0.9), 1, "training", "timestamps from 7 to 7, and those of one moment stay together"),
        (FixedTimestamp(99), 2, "test", "timestamps from 7 to 8: choose a `timestamp` after the first"),
        (FixedTimestamp(7), 2, "training", "timestamps from 7 to 8: choose a `timestamp` after the first"),
        (UserColdStart(0.1), 2, "test", "more `users`, or fewer (here 0.1)"),
        (UserColdStart(2), 3, "test", "at least one with `min_rows` rows (here 5)"),
        (ItemColdStart(0.1), 2, "test", "at least one of the 2 items"),
    ],
)
def test_what_to_do_about_an_empty_part_fits_its_rule(
    tmp_path: Path, rule: Splitter, rows_a_user: int, empty: str, remedy: str
) -> None:
    data = interactions(tmp_path, [(user, item, 1, 7 + item) for user in range(4) for item in range(rows_a_user)])
    with pytest.raises(UserError, match=f"the {empty} split came out empty") as caught:
        split_folds(data, rule, None)
    assert remedy in str(caught.value.mend)


def test_a_rule_is_not_asked_to_cut_what_the_one_before_it_left_empty(tmp_path: Path) -> None:
    data = interactions(tmp_path, [(user, item, 1, 7) for user in range(4) for item in range(3)])
    with pytest.raises(UserError, match="the training split came out empty"):
        split(data, RandomHoldOut(leave_n_out=3), GlobalTime(0.2))
