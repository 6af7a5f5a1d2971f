"""Runs side by side: their rows, what one changes against the other, and what cannot be compared."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from table_cases import whole_report

from benchmark.evaluation.per_user import write_per_user
from benchmark.evaluation.significance import compare, holm
from benchmark.reports import write_report
from benchmark.reports.comparison import compare_runs
from benchmark.reports.report import Report
from workbench.errors import UserError


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")


def saved(folder: Path, name: str, lift: float = 0.0, **changes: Any) -> tuple[Path, Report]:
    place = folder / name
    found = whole_report(place, lift, **{"experiment": name, "tests": [], **changes})
    write_report(place, found)
    return place, found


def lines(text: str, *first: str) -> list[list[str]]:
    """The cells of the lines that begin with these."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    return [cells for cells in rows if cells[: len(first)] == list(first)]


def test_rows_of_both_stand_in_one_table_and_those_of_one_name_are_compared(tmp_path: Path) -> None:
    (one, old), (two, new) = saved(tmp_path, "old"), saved(tmp_path, "new", 0.03)
    text = compare_runs([one, two])
    assert lines(text, "VBPR [old]")[0][1].startswith(f"{old.models[2].test['Recall@10']:.4f}")
    assert lines(text, "VBPR [new]")[0][1].startswith(f"{new.models[2].test['Recall@10']:.4f}")
    (cells,) = lines(text, "Recall@10", "VBPR: new - old")
    assert cells[2:5] == [f"{each.models[2].test['Recall@10']:.4f}" for each in (old, new)] + ["+0.0300†"]
    assert cells[6:] == ["< 0.0001", "< 0.0001"]
    low, high = map(float, cells[5].split(" to "))
    assert low < 0.03 < high
    (cells,) = lines(text, "Recall@10", "MostPop: new - old")
    assert cells[4:] == ["+0.0000", "+0.0000 to +0.0000", "1.0000", "1.0000"]
    assert lines(text, "ItemCoverage@20", "VBPR: new - old")[0][4] == "+0.0000"
    assert "over 200 users; Holm: corrected over 3 pairs" in text
    assert "no figures for NGCF [new]" in text
    assert "\x1b[1m" in compare_runs([one, two], styled=True)


def test_p_values_are_those_of_the_pairs_corrected_over_the_pairs_that_are_shown(tmp_path: Path) -> None:
    (one, old), (two, new) = saved(tmp_path, "old"), saved(tmp_path, "new", 0.0, seed=28)
    for folder, found in ((one, old), (two, new)):  # two rows with the same values: some pairs are not clear at all
        models = [found.models[0], found.models[1], replace(found.models[2], stem="BPRMF")]
        write_report(folder, replace(found, models=models))
    p = []
    for name in ("MostPop", "BPRMF", "BPRMF"):
        values = {}
        for folder in (two, one):
            with np.load(folder / "per_user" / f"{name}.npz") as arrays:
                values[folder.name] = np.atleast_2d(arrays["HR@10"])[..., None]
        (expected,) = compare(values, ["HR@10"], ["paired_ttest"])
        assert expected.over_users
        p.append(expected.over_users.p["paired_ttest"])
    assert 1e-3 < min(p) < 0.3, "neither certain nor hopeless"
    shown = [cells[6:] for cells in lines(compare_runs([one, two]), "HR@10")]
    assert shown == [[f"{plain:.4f}", f"{corrected:.4f}"] for plain, corrected in zip(p, holm(p), strict=True)]


def test_without_a_name_in_common_every_row_meets_every_row(tmp_path: Path) -> None:
    (one, _), (two, new) = saved(tmp_path, "old"), saved(tmp_path, "new")
    write_report(two, replace(new, models=[replace(new.models[2], row="OURS")]))
    text = compare_runs([one, two])
    assert [cells[1] for cells in lines(text, "Recall@10")] == [
        f"OURS [new] - {name} [old]" for name in ("MostPop", "BPRMF", "VBPR")
    ]


def test_several_runs_are_compared_with_the_first_and_equal_names_are_told_apart_by_folder(tmp_path: Path) -> None:
    folders = [saved(tmp_path, name)[0] for name in ("a", "b", "c")]
    assert [cells[1] for cells in lines(compare_runs(folders), "HR@20")][:3] == [
        f"{name}: b - a" for name in ("MostPop", "BPRMF", "VBPR")
    ]
    write_report(folders[1], whole_report(folders[1], experiment="a", tests=[]))
    assert lines(compare_runs(folders[:2]), f"VBPR [{folders[1]}]")


def test_only_what_both_measured_is_compared(tmp_path: Path) -> None:
    (one, old), (two, _) = saved(tmp_path, "old"), saved(tmp_path, "new")
    few = ["HR@20", "ItemCoverage@20"]
    write_report(one, replace(old, metrics=few, cutoffs=[20]))
    with np.load(one / "per_user" / "VBPR.npz") as arrays:
        held = {name: np.atleast_2d(arrays[name]) for name in arrays.files if name != "users"}
        users = arrays["users"]
    write_per_user(one / "per_user" / "VBPR.npz", users, {"HR@20": held["HR@20"]})
    text = compare_runs([one, two])
    assert set(re.findall(r"\w+@\d+", text)) - {"Recall@5"} == set(few)
    write_report(one, replace(old, metrics=["HR@7"], cutoffs=[7]))
    with pytest.raises(UserError, match="no metric in common"):
        compare_runs([one, two])


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"dataset": "store"}, "data set: store here, shop there"),
        ({"protocol": {"mask": "train+val"}}, r"mask: train\+val here, train there"),
        ({"threshold": 4.0}, "relevance threshold: 4.0 here, 0.0 there"),
        ({"suffix": " (99 neg.)"}, r"sampled candidates: \(99 neg.\) here, no there"),
        ({"counts": {"users": 61, "items": 40, "train": 300, "test": 60}}, "users: 61 here, 60 there"),
    ],
)
def test_other_data_or_another_protocol_are_refused(tmp_path: Path, changes: dict[str, Any], what: str) -> None:
    (one, old), (two, _) = saved(tmp_path, "old"), saved(tmp_path, "new", **changes)
    if "protocol" in changes:
        write_report(two, replace(old, experiment="new", protocol=old.protocol | changes["protocol"]))
    with pytest.raises(UserError, match=what) as caught:
        compare_runs([one, two])
    assert caught.value.where == str(two) and str(one) in caught.value.what and caught.value.mend


def test_other_features_and_another_validation_part_are_what_one_compares(tmp_path: Path) -> None:
    (one, old), (two, new) = saved(tmp_path, "old"), saved(tmp_path, "new")
    write_report(
        two, replace(new, protocol=old.protocol | {"side_information": ["clip"]}, counts=old.counts | {"validation": 1})
    )
    assert "VBPR: new - old" in compare_runs([one, two])


def test_other_users_are_refused(tmp_path: Path) -> None:
    (one, _), (two, _) = saved(tmp_path, "old"), saved(tmp_path, "new")
    with np.load(two / "per_user" / "VBPR.npz") as arrays:
        held = {name: np.atleast_2d(arrays[name]) for name in arrays.files if name != "users"}
        write_per_user(two / "per_user" / "VBPR.npz", arrays["users"][::-1], held)
    with pytest.raises(UserError, match="not the users of"):
        compare_runs([one, two])


def test_folders_that_are_no_two_runs_are_refused(tmp_path: Path) -> None:
    one, old = saved(tmp_path, "old")
    for folders in ([], [one], [one, tmp_path / "." / "old"]):
        with pytest.raises(UserError, match="two different results folders"):
            compare_runs(folders)
    with pytest.raises(UserError, match="no finished experiment"):
        compare_runs([one, tmp_path])
    empty = tmp_path / "empty"
    empty.mkdir()
    write_report(empty, replace(old, models=[]))
    with pytest.raises(UserError, match="no row of this run has figures"):
        compare_runs([one, empty])
