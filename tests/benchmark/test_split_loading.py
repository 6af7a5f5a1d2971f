"""Splits of an experiment file: which rule the guard holds each part to, and where an error points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from bench_cases import random_reviews, read_rows, write_rows
from experiment_cases import experiment

from benchmark.config import read_experiment_config
from benchmark.guard import Finding
from benchmark.load import load_splits
from benchmark.prepare import prepare
from workbench.errors import UserError

RANDOM: dict[str, Any] = {"strategy": "random_hold_out", "test_ratio": 0.2}
GLOBAL: dict[str, Any] = {"strategy": "global_time", "test_ratio": 0.2}
LAST: dict[str, Any] = {"strategy": "leave_one_out"}


@pytest.fixture
def reviews(place: Path) -> Path:
    return write_rows(place / "data" / "shop" / "reviews.tsv", random_reviews(3))


def cut(place: Path, test: dict[str, Any], validation: dict[str, Any], **more: Any) -> Path:
    """An experiment file that cuts the reviews."""
    paths = {"train_path": None, "validation_path": None, "test_path": None, "side_information": None}
    data_config = {**paths, "strategy": "dataset", "dataset_path": "../data/{0}/reviews.tsv"}
    splitting = {"test_splitting": test, "validation_splitting": validation}
    return experiment(place, {"MostPop": None}, data_config=data_config, splitting=splitting, **more)


def ready(place: Path, **more: Any) -> Path:
    """An experiment file that reads what `run_split.py` wrote."""
    return experiment(place, {"MostPop": None}, **more, data_config={"side_information": None})


def found(path: Path) -> list[Finding]:
    return load_splits(read_experiment_config(path))[1]


def by_time(findings: list[Finding]) -> set[tuple[str, str | None]]:
    """Code and part of what the guard says of times."""
    return {(each.code, each.part) for each in findings if each.code.startswith(("future", "no_times"))}


def split(place: Path, test: dict[str, Any], validation: dict[str, Any]) -> None:
    block = {"splitting": {"test_splitting": test, "validation_splitting": validation}}
    (place / "split.yml").write_text(yaml.safe_dump({"experiment": block}))
    prepare("shop", place / "split.yml")


@pytest.mark.parametrize(
    ("test", "validation", "expected"),
    [
        (RANDOM, RANDOM, set()),
        (GLOBAL, GLOBAL, set()),
        (GLOBAL, RANDOM, set()),
        (LAST, RANDOM, {("future_of_others", "test")}),
        (GLOBAL, LAST, {("future_of_others", "validation")}),
        (LAST, LAST, {("future_of_others", "validation"), ("future_of_others", "test")}),
    ],
)
def test_a_part_is_held_to_the_rule_that_made_it_whether_cut_here_or_by_run_split(
    place: Path, reviews: Path, test: dict[str, Any], validation: dict[str, Any], expected: set[tuple[str, str]]
) -> None:
    assert by_time(found(cut(place, test, validation))) == expected
    split(place, test, validation)
    assert by_time(found(ready(place))) == expected


def test_validation_that_is_held_out_of_a_ready_part_is_held_to_its_own_rule(place: Path, reviews: Path) -> None:
    split(place, GLOBAL, GLOBAL)
    path = ready(place, splitting={"validation_splitting": LAST})
    path.write_text(path.read_text().replace("    validation_path: ../data/{0}/val_indexed.tsv\n", ""))
    assert by_time(found(path)) == {("future_of_others", "validation")}


def test_a_leave_one_out_that_drew_at_random_claims_nothing_about_time(place: Path, reviews: Path) -> None:
    write_rows(reviews, [row[:3] for row in read_rows(reviews)])
    assert by_time(found(cut(place, LAST, LAST))) == set()
    split(place, LAST, LAST)
    assert by_time(found(ready(place))) == set()


def test_what_is_found_in_many_folds_is_told_once(place: Path, reviews: Path, log: list[str]) -> None:
    findings = found(cut(place, {"strategy": "random_k_fold", "folds": 3}, {**RANDOM, "test_ratio": 0.6, "folds": 2}))
    assert findings
    assert len({(each.code, each.part) for each in findings}) == len(findings)
    assert all("in 6 folds" in each.text for each in findings)
    assert sum("in 6 folds" in line for line in log) == len(findings)


FAR = {"strategy": "fixed_timestamp", "timestamp": 2 * 10**9}
COLD = [{"strategy": "cold_users", "threshold": 0}]


@pytest.mark.parametrize(
    ("changes", "block", "mend"),
    [
        ({"prefiltering": COLD}, "prefiltering", "raise its `threshold`"),
        ({"test": FAR}, "splitting", "choose a `timestamp` after the first of these"),
        ({"validation": FAR}, "splitting", "choose a `timestamp` after the first of these"),
    ],
)
def test_an_error_of_a_rule_points_to_its_block(
    place: Path, reviews: Path, changes: dict[str, Any], block: str, mend: str
) -> None:
    path = cut(place, **{"test": RANDOM, "validation": RANDOM, **changes})
    line = path.read_text().splitlines().index(f"  {block}:") + 1
    for run in (lambda: load_splits(read_experiment_config(path)), lambda: prepare("shop", path)):
        with pytest.raises(UserError) as caught:
            run()
        assert caught.value.where == f"{path}:{line}"
        assert mend in str(caught.value.mend)


def test_so_does_that_of_a_validation_rule_on_ready_parts(place: Path, reviews: Path) -> None:
    split(place, RANDOM, RANDOM)
    path = ready(place, splitting={"validation_splitting": FAR})
    path.write_text(path.read_text().replace("    validation_path: ../data/{0}/val_indexed.tsv\n", ""))
    line = path.read_text().splitlines().index("  splitting:") + 1
    with pytest.raises(UserError, match="the validation split came out empty") as caught:
        load_splits(read_experiment_config(path))
    assert caught.value.where == f"{path}:{line}"
