"""Features taken away at a rate, and items that leave the data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bench_cases import decoded, interactions
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.data.modalities import drop_items, is_removed
from benchmark.data.splitters import Parts
from workbench.errors import UserError

MANY = [f"item {number}" for number in range(20_000)]
rates = st.floats(0, 1, exclude_max=True)


@given(rates, rates, st.integers(-5, 2**40), st.sampled_from([None, "visual"]))
@settings(max_examples=50, deadline=None)
def test_what_is_missing_at_a_rate_is_missing_at_every_higher_one(
    low: float, high: float, seed: int, modality: str | None
) -> None:
    low, high = sorted((low, high))
    few, more = (is_removed(MANY[:2000], rate, seed, modality) for rate in (low, high))
    assert not (few & ~more).any()


@pytest.mark.parametrize("rate", [0, 0.05, 0.3, 0.9])
def test_the_rate_is_the_probability_of_every_item(rate: float) -> None:
    found = [is_removed(MANY, rate, seed).mean() for seed in range(3)]
    np.testing.assert_allclose(found, rate, atol=4 * np.sqrt(rate * (1 - rate) / len(MANY)))


@given(st.lists(st.text(min_size=1), min_size=1, unique=True), st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_an_items_lot_depends_on_no_other_item(items: list[str], seed: int) -> None:
    together = is_removed(items, 0.5, seed)
    assert together[::-1].tolist() == is_removed(items[::-1], 0.5, seed).tolist()
    assert together.tolist() == [is_removed([item], 0.5, seed)[0] for item in items]


def test_seeds_and_modalities_lose_different_items() -> None:
    first, other_seed = is_removed(MANY, 0.5, 1), is_removed(MANY, 0.5, 2)
    visual, textual = (is_removed(MANY, 0.5, 1, modality) for modality in ("visual", "textual"))
    for one, two in ((first, other_seed), (visual, textual), (first, visual)):
        assert abs((one & two).mean() - 0.25) < 0.02


def test_the_same_items_on_every_machine() -> None:
    assert np.flatnonzero(is_removed(MANY[:40], 0.2, 42)).tolist() == [0, 1, 2, 12, 14, 15, 20, 22, 25, 28, 29, 30, 33]


@pytest.mark.parametrize("rate", [1, 1.5, -0.1, float("nan")])
def test_a_rate_is_a_share(rate: float) -> None:
    with pytest.raises(UserError, match="missing_rate is"):
        is_removed(["a"], rate, 0)


def parts(folder: Path) -> Parts:
    train = interactions(folder / "a", [("u", "x"), ("u", "y"), ("v", "x"), ("w", "y")])
    validation = interactions(folder / "b", [("u", "z"), ("v", "y")])
    test = interactions(folder / "c", [("v", "z"), ("v", "w")])
    shown = interactions(folder / "d", [("n", "x"), ("n", "z"), ("n", "w")])
    return Parts(train, validation, test, None, shown)


def test_dropped_items_leave_every_part_and_are_counted(tmp_path: Path, log: list[str]) -> None:
    whole = parts(tmp_path)
    left = drop_items(whole, ["x", "z"])
    pairs = [
        [row[:2] for row in decoded(part)]
        for part in (left.train, left.validation, left.test, left.test_input)
        if part is not None
    ]
    assert pairs == [[("u", "y"), ("w", "y")], [("v", "y")], [("v", "w")], [("n", "w")]]
    assert left.validation_input is None
    for text in ("2 items", "2 of 4 rows of train", "1 of 2 rows of validation", "1 of 2 rows of test",
                 "2 of 3 rows of test_input", "1 users lose all training rows"):  # fmt: skip
        assert text in log[-1]


def test_nothing_is_said_where_nothing_is_dropped(tmp_path: Path, log: list[str]) -> None:
    whole = parts(tmp_path)
    log.clear()
    assert [row[:2] for row in decoded(drop_items(whole, []).train)] == [row[:2] for row in decoded(whole.train)]
    assert not log


def test_a_part_that_would_be_empty_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no row of test"):
        drop_items(parts(tmp_path), ["z", "w"])
