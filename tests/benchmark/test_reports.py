"""The tables in the terminal: marks, numbers, widths, what was chosen at what cost, and the sentences around them."""

from __future__ import annotations

import io
import math
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from table_cases import failed_trial, report, row, trial, whole_report

from benchmark.evaluation.metrics import better
from benchmark.evaluation.significance import compare, compare_systems
from benchmark.evaluation.slices import SliceRow
from benchmark.reports import read_report, render, write_report
from benchmark.reports.figures import ranked
from benchmark.reports.report import Failure
from benchmark.reports.significance import clear_leaders
from benchmark.reports.wrapping import places
from workbench.console import wants_style

GENERATOR = np.random.default_rng(3)
BASE = GENERATOR.random(200)
BOLD, UNDERLINED, PLAIN = "\x1b[1m", "\x1b[4m", "\x1b[0m"


def leaders(**values: np.ndarray) -> set[tuple[str, str]]:
    return clear_leaders(
        compare({name: column[:, None] for name, column in values.items()}, ["Recall@20"], ["paired_ttest"]),
        "paired_ttest",
    )


def test_a_model_that_beats_all_others_clearly_leads() -> None:
    better = BASE + 0.2 + 0.1 * GENERATOR.random(200)
    assert leaders(weak=BASE, strong=better, middle=BASE + 0.1 * GENERATOR.random(200)) == {("strong", "Recall@20")}
    assert leaders(strong=better, weak=BASE) == {("strong", "Recall@20")}


def test_a_lead_that_may_be_chance_over_one_other_is_none() -> None:
    noise = GENERATOR.permutation(np.repeat([0.05, -0.049], 100))
    assert leaders(weak=BASE - 0.3 + 0.1 * GENERATOR.random(200), first=BASE + noise, second=BASE) == set()


# the table


def cells(text: str, model: str) -> dict[str, str]:
    """Heading -> cell, of all tables that have a line of this model, without the codes of style."""
    found: dict[str, str] = {}
    header: list[str] = []
    for line in re.sub(r"\x1b\[[0-9]*m", "", text).splitlines():
        parts = [part.strip() for part in re.split("[|│]", line)[1:-1]]
        if parts and parts[0] == "model":
            header = parts
        elif parts and parts[0] == model:
            found |= dict(zip(header, parts, strict=True))
    return found


def shown(*rows: Any, **changes: Any) -> str:
    return render(report(*rows, **changes))


def test_the_best_value_is_marked_and_nothing_where_all_are_equal_or_undefined() -> None:
    nan = math.nan
    one = row("A", {"Recall@5": 0.5, "HR@5": 0.25, "AUC@5": nan, "nDCG@5": nan})
    other = row("B", {"Recall@5": 0.25, "HR@5": 0.25, "AUC@5": nan, "nDCG@5": 0.5})
    third = row("C", {"Recall@5": 0.25, "HR@5": 0.25, "AUC@5": nan, "nDCG@5": 0.75})
    text = shown(one, other, third)
    assert [cells(text, name)["Recall@5"] for name in "ABC"] == ["0.5000*", "0.2500", "0.2500"]
    assert [cells(text, name)["HR@5"] for name in "ABC"] == ["0.2500"] * 3
    assert [cells(text, name)["AUC@5"] for name in "ABC"] == ["-"] * 3
    assert [cells(text, name)["nDCG@5"] for name in "ABC"] == ["-", "0.5000", "0.7500*"]
    assert "*" not in shown(one)


def test_a_terminal_shows_the_best_bold_and_the_runner_up_underlined() -> None:
    rows = [row(name, {"Recall@5": value}) for name, value in zip("ABC", (0.25, 0.75, 0.5), strict=True)]
    text = render(report(*rows), styled=True)
    assert f"{BOLD}0.7500{PLAIN} │" in text
    assert f"{UNDERLINED}0.5000{PLAIN} │" in text
    assert " 0.2500 │" in text and "*" not in text and "+" not in text
    assert "\x1b" not in render(report(*rows))


RANKS = st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4, math.nan, math.inf]), max_size=8)


@given(RANKS, st.sampled_from(["larger", "smaller", None]))
def test_ranks_are_those_of_counting_who_is_better(values: list[float], direction: Any) -> None:
    def ahead(value: float) -> int:
        finite = [each for each in values if math.isfinite(each)]
        return sum(each > value if direction == "larger" else each < value for each in finite)

    finite = [value for value in values if math.isfinite(value)]
    for value, rank in zip(values, ranked(values, direction), strict=True):
        if direction is None or not math.isfinite(value) or len(set(finite)) < 2:
            assert rank is None
        else:
            second = ahead(value) == 1 and len(finite) > 2
            assert rank == ("best" if ahead(value) == 0 else "second" if second else None)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("RSP[kind=a]@5", None),
        ("REO[kind=b]@5", None),
        ("RSP[kind]@5", "smaller"),
        ("REO[kind]@5", "smaller"),
        ("ExtendedPopRSP[pop_ratio=0.8]@5", "smaller"),
        ("clustered_nDCG[gender=f]@5", "larger"),
        ("DSC[Precision,Recall,beta=2]@5", "larger"),
    ],
)
def test_the_share_of_one_group_is_neither_good_nor_bad(column: str, expected: str | None) -> None:
    assert better(column) == expected


def test_numbers_are_as_long_as_they_can_be_read() -> None:
    assert cells(shown(row("A", {"ItemCoverage@5": 12_345.0})), "A")["ItemCoverage@5"] == "12,345"
    assert cells(shown(row("A", {"ItemCoverage@5": 23.0})), "A")["ItemCoverage@5"] == "23"
    assert cells(shown(row("A", {"HR@5": 1.0})), "A")["HR@5"] == "1.0000"
    assert cells(shown(row("A", {"ARP@5": 1_234.5678})), "A")["ARP@5"] == "1,234.6"
    assert cells(shown(row("A", {"ARP@5": 1_234.0}, {"ARP@5": 1.0})), "A")["ARP@5"] == "1,234.0 ±1.0"
    mixed = shown(row("A", {"MSE@5": 0.98765}), row("B", {"MSE@5": 123_456_789.0}))
    assert [cells(mixed, name)["MSE@5"] for name in "AB"] == ["0.9877*", "1.235e+08"]


def test_numbers_stand_below_each_other_beside_deviations_and_marks() -> None:
    rows = [row("A", {"Recall@5": 0.25}), row("B", {"Recall@5": 0.5}, {"Recall@5": 0.1})]
    for styled in (False, True):
        text = re.sub(r"\x1b\[[0-9]*m", "", render(report(*rows), styled))
        first, second = [line for line in text.splitlines() if "0.2500" in line or "0.5000" in line]
        assert first.index("0.2500") == second.index("0.5000")


def test_metrics_without_a_cutoff_stand_once() -> None:
    figures = {f"{name}@{k}": 0.5 for k in (5, 10) for name in ("Recall", "AUC", "GAUC", "LAUC", "RMSE")}
    found = cells(shown(row("A", figures)), "A")
    assert {name for name in found if "@" in name} == {
        *("Recall@5", "LAUC@5", "Recall@10", "LAUC@10", "AUC@10", "GAUC@10", "RMSE@10"),
    }
    alone = shown(row("A", {"AUC@5": 0.5, "AUC@10": 0.5}))
    assert alone.count("| model") == 2, "one table of figures, one of choices"


COSTLY = {"gpu_memory_mb": 512.0, "energy_joules": 90.0}


@pytest.mark.parametrize("columns", [80, 100, 140])
@pytest.mark.parametrize("styled", [False, True])
def test_no_line_is_wider_than_the_terminal(columns: int, styled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    figures = {f"Metric{place}@{k}": 1 / (place + 1) for k in (5, 10) for place in range(15)}
    varied = [f"parameter{place}" for place in range(12)]
    settings: dict[str, Any] = dict.fromkeys(varied, 0.001)
    long = trial(cost=COSTLY, **settings)
    rows = [row("A", figures, validation=0.1, chosen=[[long]], varied=varied), row("B", figures), row("C", figures)]
    failed = [Failure("D", "it was " + "very " * 60 + "wrong")]
    text = render(report(*rows, failed=failed, heading=["long " * 50]), styled)
    assert max(map(places, text.splitlines())) <= columns
    assert {name for name in cells(text, "B") if "@" in name} == set(figures)
    assert all(f"{name}=0.001" in text for name in varied)
    kinds = ["validation", "chosen", "seconds", "CPU s", "MB", "GPU MB", "J", "weights"]
    assert list(cells(text, "B"))[-8:] == kinds


def test_every_line_of_a_styled_table_is_equally_wide() -> None:
    rows = [row(name, {"Recall@5": value}) for name, value in (("A", 0.2), ("ラーメン", 0.4), ("C", 0.3))]
    table = [line for line in render(report(*rows), styled=True).splitlines() if line[0] in "┌│├└"]
    assert len({places(line) for line in table[:7]}) == 1


def test_sampled_candidates_are_named_above_every_table_and_not_in_each_heading() -> None:
    text = shown(row("A", {"Recall@5": 0.5, "Recall@10": 0.5}), suffix=" (5 neg.)")
    assert text.count("\nfigures (5 neg.)\n+") == 2
    assert text.count("neg.") == 2
    assert "figures (" not in shown(row("A", {"Recall@5": 0.5}))


def test_values_that_chose_on_test_are_not_headed_validation() -> None:
    chosen = row("A", {"Recall@5": 0.5}, validation=0.5, chosen=[[trial(lr=0.05)]], varied=["lr"])
    assert cells(shown(chosen), "A")["validation"] == "Recall@5 0.5000"
    text = shown(chosen, chosen_on_test=True)
    assert "validation" not in cells(text, "A")
    assert cells(text, "A")["chosen by"] == "Recall@5 0.5000 (test)"


def test_lists_made_elsewhere_show_their_validation_value_and_no_cost() -> None:
    listed = row("read", {"Recall@5": 0.5}, validation=0.5)
    found = cells(shown(listed, row("A", {"Recall@5": 0.5}, chosen=[[trial()]])), "read")
    assert (found["validation"], found["chosen"], found["seconds"]) == ("Recall@5 0.5000", "-", "-")
    assert "seconds" not in cells(shown(listed), "read")


def test_costs_are_sums_over_all_trials_and_peaks_of_the_chosen() -> None:
    small, large = trial(cost=COSTLY), trial(cost={**COSTLY, "peak_memory_mb": 99.0, "gpu_memory_mb": 2_048.0})
    one = row("A", {"Recall@5": 0.5}, chosen=[[small]], trials=[small, large, failed_trial("crashed")])
    found = cells(shown(one), "A")
    assert (found["seconds"], found["CPU s"], found["MB"], found["GPU MB"]) == ("7,036.8", "12,000.0", "12", "512")
    assert "J" not in found, "of one trial it is not known: there is no sum"
    known = row("A", {"Recall@5": 0.5}, chosen=[[small]], trials=[small, large])
    assert cells(shown(known), "A")["J"] == "180"
    assert "GPU MB" not in cells(shown(row("A", {"Recall@5": 0.5}, chosen=[[trial()]])), "A")


def test_further_seeds_are_on_the_bill() -> None:
    small, large = trial(cost=COSTLY, seed=1), trial(cost={**COSTLY, "peak_memory_mb": 99.0}, seed=2)
    one = row("A", {"Recall@5": 0.5}, chosen=[[small]], further=[large, large])
    found = cells(shown(one), "A")
    assert (found["seconds"], found["CPU s"], found["MB"], found["J"]) == ("7,036.8", "12,000.0", "12", "270")
    twice = replace(one, further=[{**large, "key": "k"}, {**large, "key": "k"}])
    assert cells(shown(twice), "A")["seconds"] == "4,691.2", "it ran once, as its key says"


def test_folds_are_mentioned_where_something_was_chosen() -> None:
    still = {**trial(), "epoch": 0}
    popular = row("MostPop", {"Recall@5": 0.5}, chosen=[[still], [still]])
    model = row("A", {"Recall@5": 0.5}, chosen=[[trial(lr=0.05)], [trial(lr=0.5)]], varied=["lr"])
    text = shown(model, popular)
    assert cells(text, "A")["chosen"] == "lr=0.05, epoch=12, (1st of 2 folds)"
    assert cells(text, "MostPop")["chosen"] == "-"
    assert cells(text, "A")["seconds"] == "4,691.2"


def test_the_deviation_says_over_how_many_values_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")

    def line(*rows: Any) -> str:
        return next((line for line in shown(*rows).splitlines() if line.startswith("±")), "")

    figures, spread = {"Recall@5": 0.5}, {"Recall@5": 0.1}
    folds = [(0, 0, 1), (1, 0, 1)]  # several replicates, and no deviation: they are pooled
    assert line(row("A", figures, replicates=folds)) == ""
    seeds = row("A", figures, spread, replicates=[(0, 0, 1), (0, 0, 2), (0, 0, 3)])
    assert line(seeds, row("MostPop", figures)) == "±: standard deviation over 3 seeds"
    nested = [(test, inner, seed) for test in (0, 1) for inner in (0, 1) for seed in (1, 2, 3)]
    both = row("B", figures, spread, replicates=nested)
    popular = row("MostPop", figures, spread, replicates=[each for each in nested if each[2] == 1])
    assert line(both, popular) == (
        "±: standard deviation over 6 replicates (2 validation folds x 3 seeds) or 2 validation folds, of figures over "
        "all 2 test folds"
    )


def test_the_footer_counts_users_once_and_names_the_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "500")
    values = {"A": BASE[:, None] + 0.2 + 0.1 * GENERATOR.random((200, 1)), "B": BASE[:, None]}
    comparisons = compare(values, ["Recall@5"], ["paired_ttest"])
    folds = [(0, 0, 1), (1, 0, 1)]
    rows = [row(name, {"Recall@5": float(values[name].mean())}, replicates=folds) for name in "AB"]
    text = shown(*rows, comparisons=comparisons, tests=["paired_ttest"])
    assert cells(text, "A")["Recall@5"].endswith("†")
    assert "over 200 users, 2 folds (a user counts once), p" in text.splitlines()[-1]


def test_rows_and_trials_without_figures_say_why() -> None:
    tried = [trial(), failed_trial("out_of_memory"), failed_trial("diverged"), failed_trial("diverged")]
    one = row("A", {"Recall@5": 0.5}, chosen=[[tried[0]]], trials=tried)
    failed = [Failure("NGCF", "none of 4 configurations gave a figure (the loss is\nno number)")]
    reason = "no figures for NGCF: none of 4 configurations gave a figure (the loss is no number)"
    lines = shown(one, failed=failed).splitlines()
    assert lines[-2:] == [
        reason,
        "A: 3 of 4 trials gave no figures (1 out of memory, 2 diverged)",
    ]
    alone = render(report(failed=failed), styled=True).splitlines()
    assert alone[-1] == reason


def test_a_row_that_is_called_like_a_column_or_holds_line_ends_has_its_table() -> None:
    slices = [SliceRow("all", "a\tb", 5, {"Recall@5": 0.5})]
    text = shown(*(row(name, {"Recall@5": 0.5}, slices=slices) for name in ("users", "group", "x\ny")))
    assert "x y" in text and "a b" in text
    assert text.splitlines()[-2].split() == ["|", "all", "|", "a", "b", "|", "5", *["|", "0.5000"] * 3, "|"]


def test_slices_are_shown_under_the_first_metric_that_they_have() -> None:
    slices = [SliceRow("all", "all", 5, {"Recall@5": 0.25})]
    one = row("A", {"ItemCoverage@5": 3.0, "Recall@5": 0.5}, slices=slices)
    assert "Recall@5 (5 neg.) by groups" in shown(one, suffix=" (5 neg.)")
    assert "by groups" not in shown(row("A", {"Recall@5": 0.5}))


GOLDEN = """\
shop: 60 users, 40 items, 300 train, 60 test
test figures; full ranking of the training items
+---------+-----------------+---------+
| model   |        Recall@5 |  RMSE@5 |
+---------+-----------------+---------+
| MostPop | 0.1000          | 1.2000  |
| VBPR    | 0.3000 ±0.0100* | 0.9000* |
+---------+-----------------+---------+
+---------+-----------------+-------------------+---------+---------+----+---------+
| model   | validation      | chosen            | seconds |   CPU s | MB | weights |
+---------+-----------------+-------------------+---------+---------+----+---------+
| MostPop | -               | -                 |       - |       - |  - |       - |
| VBPR    | Recall@5 0.2500 | lr=0.05, epoch=12 | 2,345.6 | 4,000.0 | 12 |   1,000 |
+---------+-----------------+-------------------+---------+---------+----+---------+
±: standard deviation over 2 seeds"""


def test_a_whole_table() -> None:
    figures, spread, seeds = {"Recall@5": 0.3, "RMSE@5": 0.9}, {"Recall@5": 0.01}, [(0, 0, 1), (0, 0, 2)]
    chosen = [[trial(lr=0.05)]]
    rows = [
        row("MostPop", {"Recall@5": 0.1, "RMSE@5": 1.2}),
        row("VBPR", figures, spread, 0.25, seeds, chosen, varied=["lr"]),
    ]
    assert shown(*rows) == GOLDEN


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("variables", "expected"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_style_is_for_terminals_that_want_it(
    variables: dict[str, str], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", Screen())
    assert wants_style() is expected
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert not wants_style()


# results.json


def test_what_is_written_reads_the_same(tmp_path: Path) -> None:
    found = whole_report(tmp_path)
    write_report(tmp_path, found)
    assert read_report(tmp_path) == found
    assert render(read_report(tmp_path), styled=True) == render(found, styled=True)


def test_figures_that_are_not_defined_read_as_they_were(tmp_path: Path) -> None:
    """JSON has no NaN: null is read as one again, also in comparisons."""
    values = {name: np.array([[number]]) for name, number in (("A", math.nan), ("B", 0.5))}
    found = compare_systems(values, ["AUC@5"]) + compare(
        {name: np.full((1, 1), 0.5) for name in "AB"}, ["Recall@5"], ["paired_ttest"]
    )
    slices = [SliceRow("all", "all", 5, {"GAUC@5": math.nan})]
    rows = [row(name, {"AUC@5": math.nan}, system={"AUC@5": [math.nan]}, slices=slices) for name in "AB"]
    whole = report(*rows, comparisons=found, tests=["paired_ttest"])
    write_report(tmp_path, whole)
    assert repr(read_report(tmp_path)) == repr(whole)
