"""The table in the terminal: marks, numbers, widths, and the sentences around it."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from benchmark.evaluation.metrics import better
from benchmark.evaluation.significance import Comparison, compare
from benchmark.reports.files import ModelResult, Replicate
from benchmark.reports.significance import clear_leaders
from benchmark.reports.terminal import render
from benchmark.search.sweep import Chosen

GENERATOR = np.random.default_rng(3)
BASE = GENERATOR.random(200)


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


CHOICE = {"params": {"lr": 0.05, "factors": 8}, "epoch": 12, "seconds": 2_345.6, "peak_memory_mb": 12.0}


def row(
    name: str,
    spread: dict[str, float] | None = None,
    validation: float | None = None,
    replicates: Sequence[tuple[int, int, int]] = ((0, 0, 1),),
    records: Sequence[dict[str, Any]] = (),
    varied: Sequence[str] = (),
    **test: float,
) -> ModelResult:
    """`Recall_at_5=0.1`; replicates are (test fold, validation fold, seed)."""
    figures = {key.replace("_at_", "@"): value for key, value in test.items()}
    identities = [Replicate(fold, inner, seed, figures) for fold, inner, seed in replicates]
    choices = [Chosen([], [{"parameters": 1_000, **record}], [[record]]) for record in records]
    return ModelResult(
        name, name, name, list(varied), "Recall@5", validation, choices, identities, figures,
        {key.replace("_at_", "@"): value for key, value in (spread or {}).items()}, 60, {}, [],
    )  # fmt: skip


def shown(*rows: ModelResult, comparisons: Sequence[Comparison] = (), tests: Sequence[str] = (), **changes: Any) -> str:
    """Under Recall@5 and the like; changes of legacy, validation, suffix."""
    suffix = changes.get("suffix")
    sampling = suffix and SimpleNamespace(suffix=suffix)
    experiment = SimpleNamespace(
        dataset="shop", evaluation=SimpleNamespace(tests=list(tests)), negative_sampling=sampling
    )
    cutoffs = sorted({int(name.partition("@")[2]) for name in rows[0].test})
    measures = SimpleNamespace(
        cutoffs=cutoffs, mask="train", threshold=0, legacy=changes.get("legacy"), candidates_label=lambda _: "all items"
    )
    part = SimpleNamespace(items=np.zeros(3))
    dataset = SimpleNamespace(
        n_users=1, n_items=1, train=part, test=part, validation=part if changes.get("validation", True) else None,
        validation_input=None, test_input=None,
    )  # fmt: skip
    file: Any = SimpleNamespace(experiment=experiment)
    return render(file, cast(Any, measures), cast(Any, dataset), list(rows), list(comparisons))


def cells(text: str, model: str) -> dict[str, str]:
    """Heading -> cell, of all tables that have a line of this model."""
    found: dict[str, str] = {}
    header: list[str] = []
    for line in text.splitlines():
        parts = [part.strip() for part in line.split("|")[1:-1]]
        if parts and parts[0] == "model":
            header = parts
        elif parts and parts[0] == model:
            found |= dict(zip(header, parts, strict=True))
    return found


def test_the_best_value_is_marked_and_nothing_where_all_are_equal_or_undefined() -> None:
    one = row("A", Recall_at_5=0.5, HR_at_5=0.25, AUC_at_5=float("nan"), nDCG_at_5=float("nan"))
    other = row("B", Recall_at_5=0.25, HR_at_5=0.25, AUC_at_5=float("nan"), nDCG_at_5=0.5)
    third = row("C", Recall_at_5=0.25, HR_at_5=0.25, AUC_at_5=float("nan"), nDCG_at_5=0.75)
    text = shown(one, other, third)
    assert [cells(text, name)["Recall@5"] for name in "ABC"] == ["0.5000*", "0.2500", "0.2500"]
    assert [cells(text, name)["HR@5"] for name in "ABC"] == ["0.2500"] * 3
    assert [cells(text, name)["AUC@5"] for name in "ABC"] == ["-"] * 3
    assert [cells(text, name)["nDCG@5"] for name in "ABC"] == ["-", "0.5000", "0.7500*"]
    assert "*" not in shown(one)


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
    assert cells(shown(row("A", ItemCoverage_at_5=12_345.0)), "A")["ItemCoverage@5"] == "12,345"
    assert cells(shown(row("A", ItemCoverage_at_5=23.0)), "A")["ItemCoverage@5"] == "23"
    assert cells(shown(row("A", HR_at_5=1.0)), "A")["HR@5"] == "1.0000"
    assert cells(shown(row("A", ARP_at_5=1_234.5678)), "A")["ARP@5"] == "1,234.6"
    assert cells(shown(row("A", spread={"ARP_at_5": 1.0}, ARP_at_5=1_234.0)), "A")["ARP@5"] == "1,234.0 ±1.0"
    mixed = shown(row("A", MSE_at_5=0.98765), row("B", MSE_at_5=123_456_789.0))
    assert [cells(mixed, name)["MSE@5"] for name in "AB"] == ["0.9877*", "1.235e+08"]


def test_metrics_without_a_cutoff_stand_once() -> None:
    figures = {f"{name}_at_{k}": 0.5 for k in (5, 10) for name in ("Recall", "AUC", "GAUC", "LAUC", "RMSE")}
    found = cells(shown(row("A", **figures)), "A")
    assert {name for name in found if "@" in name} == {
        *("Recall@5", "LAUC@5", "Recall@10", "LAUC@10", "AUC@10", "GAUC@10", "RMSE@10"),
    }
    alone = shown(row("A", AUC_at_5=0.5, AUC_at_10=0.5))
    assert alone.count("| model") == 2, "one table of figures, one of choices"


@pytest.mark.parametrize("columns", [80, 100, 140])
def test_no_table_is_wider_than_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    figures = {f"Metric{place}_at_{k}": 1 / (place + 1) for k in (5, 10) for place in range(15)}
    long = {**CHOICE, "params": {f"parameter{place}": 0.001 for place in range(12)}}
    varied = list(long["params"])
    text = shown(row("A", validation=0.1, records=[long], varied=varied, **figures), row("B", **figures))
    tables = [line for line in text.splitlines() if line.startswith(("|", "+"))]
    assert max(map(len, tables)) <= max(columns, 100)
    assert {name for name in cells(text, "B") if "@" in name} == {name.replace("_at_", "@") for name in figures}
    assert all(f"{name}=0.001" in text for name in varied)
    assert list(cells(text, "B"))[-5:] == ["validation", "chosen", "seconds", "MB", "weights"]
    assert text.count("| model ") == (7 if columns < 140 else 5)


def test_sampled_candidates_are_named_above_every_table_and_not_in_each_heading() -> None:
    text = shown(row("A", Recall_at_5=0.5, Recall_at_10=0.5), suffix="(5 neg.)")
    assert text.count("\nfigures (5 neg.)\n+") == 2
    assert text.count("neg.") == 2
    assert "figures (" not in shown(row("A", Recall_at_5=0.5))


def test_values_that_chose_on_test_are_not_headed_validation() -> None:
    chosen = row("A", validation=0.5, records=[CHOICE], varied=["lr"], Recall_at_5=0.5)
    honest = shown(chosen, legacy="mmrec")
    assert cells(honest, "A")["validation"] == "Recall@5 0.5000"
    text = shown(chosen, legacy="mmrec", validation=False)
    assert "validation" not in cells(text, "A")
    assert cells(text, "A")["chosen by"] == "Recall@5 0.5000 (test)"


def test_lists_made_elsewhere_show_their_validation_value() -> None:
    found = cells(shown(row("read", validation=0.5, Recall_at_5=0.5)), "read")
    assert (found["validation"], found["chosen"], found["seconds"]) == ("Recall@5 0.5000", "-", "-")


def test_folds_are_mentioned_where_something_was_chosen() -> None:
    popular = row("MostPop", records=[{**CHOICE, "epoch": 0}] * 2, Recall_at_5=0.5)
    model = row("A", records=[CHOICE] * 2, varied=["lr"], Recall_at_5=0.5)
    text = shown(model, popular)
    assert cells(text, "A")["chosen"] == "lr=0.05, epoch 12, (1st of 2 folds)"
    assert cells(text, "MostPop")["chosen"] == "-"
    assert cells(text, "A")["seconds"] == "4,691.2"


def test_the_deviation_says_over_how_many_values_it_is() -> None:
    def line(*rows: ModelResult) -> str:
        return next((line for line in shown(*rows).splitlines() if line.startswith("±")), "")

    spread = {"Recall_at_5": 0.1}
    folds = [(0, 0, 1), (1, 0, 1)]  # several replicates, and no deviation: they are pooled
    assert line(row("A", replicates=folds, Recall_at_5=0.5)) == ""
    seeds = row("A", spread, replicates=[(0, 0, 1), (0, 0, 2), (0, 0, 3)], Recall_at_5=0.5)
    assert line(seeds, row("MostPop", Recall_at_5=0.5)) == "±: standard deviation over 3 seeds"
    nested = [(test, inner, seed) for test in (0, 1) for inner in (0, 1) for seed in (1, 2, 3)]
    both = row("B", spread, replicates=nested, Recall_at_5=0.5)
    popular = row("MostPop", spread, replicates=[each for each in nested if each[2] == 1], Recall_at_5=0.5)
    assert line(both, popular) == (
        "±: standard deviation over 6 replicates (2 validation folds x 3 seeds) or 2 validation folds, of figures over "
        "all 2 test folds"
    )


def test_the_footer_counts_users_once_and_names_the_folds() -> None:
    values = {"A": BASE[:, None] + 0.2 + 0.1 * GENERATOR.random((200, 1)), "B": BASE[:, None]}
    comparisons = compare(values, ["Recall@5"], ["paired_ttest"])
    folds = [(0, 0, 1), (1, 0, 1)]
    rows = [row(name, replicates=folds, Recall_at_5=float(values[name].mean())) for name in "AB"]
    text = shown(*rows, comparisons=comparisons, tests=["paired_ttest"])
    assert cells(text, "A")["Recall@5"].endswith("†")
    assert "over 200 users, 2 folds (a user counts once), p" in text.splitlines()[-1]
