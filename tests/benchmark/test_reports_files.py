"""`results.tsv`, `results.csv`, `slices.tsv`, `significance.tsv`, and Elliot's names in `performance/`."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import tree
from table_cases import failed_trial, report, row, trial, whole_report

from benchmark.reports import write_files
from benchmark.reports.performance import trial_name, write_performance
from benchmark.reports.sheets import write_sheets
from benchmark.reports.text import comma_separated, tab_separated

ENDING = "relthreshold_0_2026_03_04_05_06_07"
ROWS = st.integers(1, 5).flatmap(
    lambda size: st.lists(st.lists(st.text(), min_size=size, max_size=size), min_size=1, max_size=5)
)


def tsv(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]


# cells


@given(ROWS)
def test_whatever_stands_in_a_cell_a_tsv_keeps_its_lines_and_columns(rows: list[list[str]]) -> None:
    text = tab_separated(rows)
    read = [line.split("\t") for line in text.removesuffix("\n").split("\n")]
    assert [len(line) for line in read] == [len(line) for line in rows]
    assert len(text.splitlines()) == len(rows)
    for cells, given_cells in zip(read, rows, strict=True):
        for cell, original in zip(cells, given_cells, strict=True):
            assert len(cell) == len(original)
            assert all(one in (other, " ") for one, other in zip(cell, original, strict=True))


@given(ROWS)
def test_a_csv_reads_as_it_was_written(rows: list[list[str]]) -> None:
    text = comma_separated(rows)
    assert list(csv.reader(io.StringIO(text, newline=""), strict=True)) == rows
    assert text.endswith("\r\n")


# results.tsv and results.csv


def test_the_table_has_its_columns_in_their_order(tmp_path: Path) -> None:
    chosen = [[trial(lr=0.5), trial(lr=0.5)], [trial(lr=0.1), trial(lr=0.1)]]
    rows = [
        row(
            "VBPR",
            {"Recall@5": 0.3, "HR@5": 0.5},
            {"Recall@5": 0.01, "HR@5": 0.02},
            0.25,
            [(0, 0, 1), (0, 0, 2), (0, 0, 3)],
            chosen,
            varied=["lr"],
        ),
        row("a\tb", {"Recall@5": math.nan, "HR@5": 0.5}),
    ]
    write_sheets(tmp_path, report(*rows, suffix=" (5 neg.)"))
    header, first, second = tsv(tmp_path / "results.tsv")
    assert header == [
        "model", "Recall@5 (5 neg.)", "HR@5 (5 neg.)", "validation_metric", "validation", "epoch", "seconds",
        "peak_memory_mb", "parameters", "best", "std Recall@5 (5 neg.)", "std HR@5 (5 neg.)",
        *(f"{end} {name}@5 (5 neg.)" for end in ("low", "high") for name in ("Recall", "HR")), "cpu_seconds",
        "gpu_memory_mb", "energy_joules", "samples_per_second",
    ]  # fmt: skip
    assert first == [
        "VBPR", "0.300000", "0.500000", "Recall@5", "0.250000", "12,12,12,12", "9382.40", "12", "1000",
        '[{"lr": 0.5}, {"lr": 0.1}]', "0.010000", "0.020000",
        "0.275159", "0.450317", "0.324841", "0.549683",  # 4.3027 deviations over the root of 3, by Student's t
        "16000.00", "", "", "1000",
    ]  # fmt: skip
    assert second == ["a b", "", "0.500000", "Recall@5", *[""] * 16]
    with (tmp_path / "results.csv").open(encoding="utf-8", newline="") as stream:
        assert list(csv.reader(stream)) == [header, first, ["a\tb", *second[1:]]]


def test_further_seeds_are_in_the_sums(tmp_path: Path) -> None:
    write_sheets(tmp_path, report(row("A", {"Recall@5": 0.3}, chosen=[[trial(seed=1)]], further=[trial(seed=2)])))
    header, cells = tsv(tmp_path / "results.tsv")
    found = dict(zip(header, cells, strict=True))
    assert (found["seconds"], found["cpu_seconds"], found["epoch"]) == ("4691.20", "8000.00", "12")


def test_without_seeds_there_are_no_deviations(tmp_path: Path) -> None:
    write_sheets(tmp_path, report(row("A", {"Recall@5": 0.3}, chosen=[[trial()]])))
    header, cells = tsv(tmp_path / "results.tsv")
    assert not [name for name in header if name.startswith("std")]
    assert cells[header.index("best")] == "{}"


# all files


def test_everything_is_written_and_what_an_earlier_report_left_is_gone(tmp_path: Path) -> None:
    found = whole_report(tmp_path)
    write_files(tmp_path, found)
    first = tree(tmp_path)
    names = {name for name in first if not name.startswith(("performance", "per_user"))}
    assert names == {"results.tsv", "results.csv", "slices.tsv", "significance.tsv", "table.tex"}
    significance = pd.read_csv(tmp_path / "significance.tsv", sep="\t")
    assert len(significance) == 3 * 7
    slices = pd.read_csv(tmp_path / "slices.tsv", sep="\t")
    assert list(slices)[:5] == ["model", "slice", "group", "users", "Recall@10"] and "ItemCoverage@20" not in slices
    write_files(tmp_path, found)
    assert tree(tmp_path) == first
    bare = replace(found, comparisons=[], models=[replace(model, slices=[]) for model in found.models])
    write_files(tmp_path, bare)
    assert not {"slices.tsv", "significance.tsv"} & set(tree(tmp_path))


def test_a_report_without_rows_is_written_too(tmp_path: Path) -> None:
    write_files(tmp_path, report())
    assert len(tsv(tmp_path / "results.tsv")) == 1


# performance/


def test_trials_are_named_as_elliot_names_them() -> None:
    record = trial(seed=42, epochs=200, batch_size=1024, lr=0.001, l_w=1e-5, layers=[64, 0.5], stop=None)
    name = "VBPR_missing=0$2_seed=42_e=200_bs=1024_lr=0$001_l_w=1e-05"
    assert trial_name("VBPR missing=0$2", record, []) == name
    assert trial_name("VBPR missing=0$2", record, ["layers"]) == f"{name}_layers=[64,0$5]"
    assert trial_name("MostPop", trial(seed=1), []) == "MostPop_seed=1"


def test_test_figures_are_those_of_the_best_trials(tmp_path: Path) -> None:
    found = whole_report(tmp_path)
    write_performance(tmp_path / "performance", found)
    header, *lines = tsv(tmp_path / "performance" / f"rec_cutoff_20_{ENDING}.tsv")
    assert header == ["model", "Recall", "nDCG", "HR", "ItemCoverage"]
    assert [line[0] for line in lines] == [
        "MostPop_seed=1", "BPRMF_seed=1_e=20_bs=64_lr=0$001", "VBPR_seed=1_e=20_bs=64_lr=0$001",
    ]  # fmt: skip
    assert [float(line[1]) for line in lines] == [model.test["Recall@20"] for model in found.models]


def test_no_column_of_a_trial_passes_for_a_test_figure(tmp_path: Path) -> None:
    found = whole_report(tmp_path)
    write_performance(tmp_path / "performance", found)
    header, *lines = tsv(tmp_path / "performance" / f"rec_VBPR_cutoff_10_{ENDING}.tsv")
    assert header == ["model", "validation Recall", "validation nDCG", "validation HR"]
    assert [line[0].rpartition("_")[2] for line in lines] == ["lr=0$001", "lr=0$01", "lr=10$0"]
    assert [float(line[1]) for line in lines[:2]] == [
        record["validation"]["Recall@10"] for record in found.models[2].trials[:2]
    ]
    assert lines[2][1:] == ["", "", ""], "a failed trial"
    write_performance(tmp_path / "performance", replace(found, chosen_on_test=True, suffix=" (5 neg.)"))
    header, *_ = tsv(tmp_path / "performance" / f"rec_VBPR_cutoff_10_{ENDING}.tsv")
    assert header[1] == "chosen on test Recall (5 neg.)"


def test_trials_on_several_folds_are_a_line_with_their_mean(tmp_path: Path) -> None:
    trials = [trial({"Recall@5": value}, lr=lr) for lr, value in ((0.1, 0.2), (0.1, 0.4), (0.5, 0.3))]
    trials.append(failed_trial("crashed", lr=0.5))
    write_performance(tmp_path, report(row("A", {"Recall@5": 0.5}, chosen=[trials[:2]], trials=trials, varied=["lr"])))
    _, first, second = tsv(tmp_path / f"rec_A_cutoff_5_{ENDING}.tsv")
    assert (first[0], float(first[1])) == ("A_lr=0$1", pytest.approx(0.3))
    assert second == ["A_lr=0$5", ""]


def test_the_chosen_parameters_are_there(tmp_path: Path) -> None:
    listed = row("lists", {"Recall@5": 0.1})
    chosen = row("VBPR", {"Recall@5": 0.1}, chosen=[[trial(seed=7, lr=0.5)]])
    write_performance(tmp_path, report(listed, chosen, threshold=3.5))
    path = tmp_path / "bestmodelparams_cutoff_5_relthreshold_3.5_2026_03_04_05_06_07.json"
    assert json.loads(path.read_text()) == [
        {"default_validation_metric": "Recall", "default_validation_cutoff": 5, "rel_threshold": 3.5},
        {
            "meta": {"validation_metric": "Recall@5"},
            "recommender": "VBPR",
            "configuration": {"seed": 7, "lr": 0.5, "best_iteration": 12},
        },
    ]
    assert not list(tmp_path.glob("rec_lists*"))


@pytest.mark.parametrize("test", ["paired_ttest", "wilcoxon_test"])
def test_p_values_stand_in_both_directions(tmp_path: Path, test: str) -> None:
    found = whole_report(tmp_path)
    write_performance(tmp_path / "performance", found)
    lines = tsv(tmp_path / "performance" / f"stat_{test}_cutoff_10_{ENDING}.tsv")
    assert len(lines) == 3 * 3 * 2
    values = {((first, second), metric): float(p) for first, second, metric, p in lines}
    pair = ("BPRMF_seed=1_e=20_bs=64_lr=0$001", "VBPR_seed=1_e=20_bs=64_lr=0$001")
    each = next(e for e in found.comparisons if (e.first, e.second, e.metric) == ("BPRMF", "VBPR", "HR@10"))
    assert each.over_users
    assert values[pair, "HR"] == values[pair[::-1], "HR"] == each.over_users.p[test]
    write_performance(tmp_path / "performance", replace(found, tests=["bootstrap_test"]))
    assert not list((tmp_path / "performance").glob("stat_*"))


def test_triplets_have_a_line_a_figure(tmp_path: Path) -> None:
    found = report(row("A", {"Recall@5": 0.5, "AUC@5": math.nan}, chosen=[[trial({"Recall@5": 0.25}, lr=1)]]))
    write_performance(tmp_path, found)
    assert not list(tmp_path.glob("triplets*"))
    write_performance(tmp_path, found, triplets=True)
    assert tsv(tmp_path / f"triplets_rec_cutoff_5_{ENDING}.tsv") == [
        ["model", "metric", "value"], ["A_lr=1", "Recall", "0.5"],
    ]  # fmt: skip
    assert tsv(tmp_path / f"triplets_rec_A_cutoff_5_{ENDING}.tsv")[1] == ["A_lr=1", "validation Recall", "0.25"]


def test_one_run_is_one_set_of_files_and_others_stay(tmp_path: Path) -> None:
    found = whole_report(tmp_path)
    folder = tmp_path / "performance"
    write_performance(folder, found, triplets=True)
    (folder / "notes.txt").write_text("mine")
    (folder / "record.tsv").write_text("mine")
    before = {name for name in tree(folder) if name.startswith("triplets")}
    assert before
    write_performance(folder, replace(found, finished="2027-01-02 03:04:05"))
    left = set(tree(folder)) - {"notes.txt", "record.tsv"}
    assert left and all("_2027_01_02_03_04_05." in name for name in left)
    assert {"notes.txt", "record.tsv"} <= set(tree(folder))
