"""What the guard finds in a split, against slow loops over the rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bench_cases import Row, interactions, random_reviews
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.data.dataset import build_dataset
from benchmark.data.splitters import Parts
from benchmark.guard import Figures, Finding, inspect_figures, inspect_mask, inspect_split, over_folds, tell

TRAIN: list[Row] = [("a", "x", 5, 10), ("a", "y", 4, 20), ("b", "x", 3, 5), ("c", "z", 1, 90)]
VALIDATION: list[Row] = [("a", "z", 5, 30), ("b", "new", 2, 1)]
TEST: list[Row] = [("a", "x", 5, 40), ("b", "z", 4, 50), ("b", "new", 4, 60), ("stranger", "x", 4, 70)]


BOTH = ("validation", "test")


def parts(folder: Path, train: list[Row], validation: list[Row] | None, test: list[Row], **shown: list[Row]) -> Parts:
    made = {name: interactions(folder / name, rows) for name, rows in shown.items()}
    return Parts(
        interactions(folder / "train", train),
        None if validation is None else interactions(folder / "validation", validation),
        interactions(folder / "test", test),
        **made,
    )


def counts(findings: list[Finding]) -> dict[tuple[str, str | None], int]:
    """`(code, part)` -> count."""
    return {(each.code, each.part): each.count for each in findings}


def test_every_fault_of_a_split_is_found_and_counted(tmp_path: Path) -> None:
    found = inspect_split(parts(tmp_path, TRAIN, VALIDATION, TEST), by_time=BOTH)
    assert counts(found) == {
        ("unknown_users", "test"): 1,
        ("cold_items", "validation"): 1,
        ("cold_items", "test"): 1,
        ("repeated_pairs", "test"): 2,  # a-x of test stands in train, b-new in validation
        ("future_of_the_user", "validation"): 1,  # b's training row at 5 is later than b's validation row at 1
        ("future_of_others", "validation"): 4,
        ("future_of_others", "test"): 1,
    }
    pairs = [each for each in found if each.code == "repeated_pairs"]
    assert [each.text for each in pairs] == ["2 (user, item) pairs of test also stand in an earlier part"]


def test_a_sound_split_gives_no_finding(tmp_path: Path) -> None:
    sound = parts(tmp_path, [("a", "x", 1, 1), ("a", "y", 1, 2)], [("a", "z", 1, 3)], [("a", "y2", 1, 4)])
    assert [each.code for each in inspect_split(sound, by_time=BOTH)] == ["cold_items", "cold_items"]
    warm = parts(
        tmp_path, [("a", "x", 1, 1), ("b", "y", 1, 1), ("b", "z", 1, 1)], [("a", "z", 1, 3)], [("a", "y", 1, 4)]
    )
    assert inspect_split(warm, by_time=BOTH) == []


def test_a_split_that_makes_no_claim_about_time_is_not_held_to_one(tmp_path: Path) -> None:
    codes = {each.code for each in inspect_split(parts(tmp_path, TRAIN, VALIDATION, TEST))}
    assert not codes & {"future_of_the_user", "future_of_others", "no_times"}


def test_each_part_is_judged_by_its_own_rule(tmp_path: Path) -> None:
    """Validation drawn at random from what a test part by time leaves: later training rows are as they should be."""
    train: list[Row] = [("a", "x", 1, 1), ("a", "y", 1, 3), ("b", "z", 1, 3), ("b", "x", 1, 1)]
    made = parts(tmp_path, train, [("a", "z", 1, 2)], [("a", "x2", 1, 9), ("b", "y", 1, 9)])
    assert not any(each.code.startswith("future") for each in inspect_split(made, by_time=["test"]))
    found = [each for each in inspect_split(made, by_time=["validation"]) if each.code.startswith("future")]
    assert counts(found) == {("future_of_the_user", "validation"): 1, ("future_of_others", "validation"): 2}
    assert all(each.text.startswith("validation: ") for each in found)


def test_the_findings_of_many_folds_are_told_once_with_their_sum() -> None:
    few = Finding("cold_items", 2, "test: two", False, "test")
    many = Finding("cold_items", 1500, "test: many", True, "test")
    other = Finding("cold_items", 1, "validation: one", False, "validation")
    assert over_folds({"0/0": [few, other]}) == [few, other]
    assert over_folds({"0/0": [few], "0/1": [other], "1/0": [many]}) == [
        Finding(
            "cold_items", 1502, "test: many [fold 1/0, the most of 2 in 3 folds; 1,502 in all folds]", True, "test"
        ),
        Finding(
            "cold_items", 1, "validation: one [fold 0/1, the most of 1 in 3 folds; 1 in all folds]", False, "validation"
        ),
    ]


def test_a_split_by_time_without_times_cannot_be_checked_and_says_so(tmp_path: Path) -> None:
    rows = [row[:3] for row in TRAIN]
    found = inspect_split(parts(tmp_path, rows, None, [("a", "z", 1)]), by_time=BOTH)
    assert [(each.code, each.part) for each in found] == [("no_times", "test")]


def test_users_who_are_shown_are_no_strangers(tmp_path: Path) -> None:
    shown = parts(tmp_path, TRAIN, None, [("new", "x", 5, 9)], test_input=[("new", "y", 4, 8)])
    assert inspect_split(shown) == []


def test_most_of_a_part_on_cold_items_points_to_the_candidates(tmp_path: Path) -> None:
    cold = parts(tmp_path, TRAIN, None, [("a", "new", 5, 99), ("b", "newer", 5, 99), ("b", "z", 1, 99)])
    (finding,) = inspect_split(cold)
    assert finding.serious and "evaluation.candidates: all" in finding.text and "2 rows are on 2 items" in finding.text
    (finding,) = inspect_split(cold, candidates="all")
    assert not finding.serious and "they are candidates" in finding.text


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_counts_agree_with_a_slow_loop(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    rows = random_reviews(seed, n_users=8, n_items=12, most=8)
    place = np.random.default_rng(seed).integers(0, 3, len(rows))
    groups = [[row for row, where in zip(rows, place, strict=True) if where == part] for part in range(3)]
    if not all(groups):
        return
    train, validation, test = groups
    test = [*test, *train[:2]]
    found = inspect_split(parts(tmp_path_factory.mktemp("p"), train, validation, test), by_time=BOTH)
    users, items = {row[0] for row in train}, {row[1] for row in train}
    for name, part in (("validation", validation), ("test", test)):
        unknown = [row for row in part if row[0] not in users]
        cold = [row for row in part if row[0] in users and row[1] not in items]
        told = {each.code: each.count for each in found if each.text.startswith(name)}
        assert told.get("unknown_users", 0) == len(unknown)
        assert told.get("cold_items", 0) == len(cold)
        future = sum(any(row[0] == held[0] and row[3] > held[3] for held in part) for row in train)
        others = sum(row[3] > min(held[3] for held in part) for row in train)
        assert told.get("future_of_the_user", 0) == future
        assert told.get("future_of_others", 0) == others
    assert counts(found)["repeated_pairs", "test"] == 2


def test_validation_that_is_not_masked_at_test_is_counted_for_the_users_of_the_test(tmp_path: Path) -> None:
    rows = parts(tmp_path, TRAIN, [*VALIDATION, ("c", "x", 1, 1)], TEST[:3])
    dataset = build_dataset(rows)
    assert inspect_mask(dataset, "train+val") == []
    (finding,) = inspect_mask(dataset, "train")
    assert (finding.code, finding.count) == ("validation_not_masked", 2), "user c is not judged"


def test_findings_are_logged_warnings_as_such_and_remarks_as_such(log: list[str]) -> None:
    tell([Finding("a", 1, "one is wrong"), Finding("b", 2, "two to know", False)])
    assert log == ["WARNING one is wrong", "INFO two to know"]


def test_a_row_that_shines_on_test_alone_is_suspected_and_honest_rows_are_not() -> None:
    honest = [
        Figures("a", "HR@20", 0.0966, 0.1600),
        Figures("b", "HR@20", 0.15, 0.24),
        Figures("c", "HR@20", 0.2, 0.33),
    ]
    assert inspect_figures(honest) == []
    (found,) = inspect_figures([*honest, Figures("peeking", "HR@20", 0.12, 0.97)])
    assert found.code == "test_outshines_validation" and found.serious
    assert found.text.startswith(
        "peeking: HR@20 is 0.9700 on test and 0.1200 on validation, 8.1 times as much (1.6 times"
    )
    assert inspect_figures([Figures("alone", "Recall@5", 0.2, 0.5)]) == []
    assert inspect_figures([Figures("alone", "Recall@5", 0.2, 0.7)]) != []
    assert inspect_figures([Figures("noise", "Recall@5", 0.001, 0.004)]) == [], "small figures differ by chance"


def test_rows_that_hit_nothing_do_not_cast_suspicion_on_the_others() -> None:
    honest = Figures("honest", "HR@20", 0.2, 0.33)
    assert inspect_figures([honest, Figures("Random", "HR@20", 0.01, 0.0)]) == []
    assert inspect_figures([honest, Figures("Random", "HR@20", 0.0, 0.01), Figures("too", "HR@20", 0.02, 0.0)]) == []
    peeking = Figures("peeking", "HR@20", 0.2, 0.9)
    assert [each.text.split(":")[0] for each in inspect_figures([peeking, Figures("r", "HR@20", 0.01, 0.0)])] == [
        "peeking"
    ]
