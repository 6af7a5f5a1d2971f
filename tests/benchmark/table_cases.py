"""Small reports, row by row, to be rendered and written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.evaluation.per_user import write_per_user
from benchmark.evaluation.significance import TESTS
from benchmark.evaluation.slices import SliceRow
from benchmark.reports.report import Failure, ModelResult, Replicate, Report
from benchmark.reports.significance import compare_results

COST: dict[str, Any] = {
    "seconds": 2_345.6,
    "cpu_seconds": 4_000.0,
    "peak_memory_mb": 12.0,
    "gpu_memory_mb": None,
    "energy_joules": None,
    "samples_per_second": 1_000.0,
}


def trial(
    validation: dict[str, float] | None = None, cost: dict[str, Any] | None = None, **params: Any
) -> dict[str, Any]:
    """The record of a finished trial of 12 epochs."""
    return {
        "model": "VBPR", "params": params, "epoch": 12, "validation": validation or {}, "losses": [0.5] * 12,
        "history": [[12, 0.1]], "stopped": None, "parameters": 1_000, "cost": {**COST, **(cost or {})},
    }  # fmt: skip


def failed_trial(why: str, **params: Any) -> dict[str, Any]:
    return {"model": "VBPR", "params": params, "failed": f"it {why}", "why": why, "cost": COST}


def row(
    name: str,
    test: dict[str, float],
    spread: dict[str, float] | None = None,
    validation: float | None = None,
    replicates: Sequence[tuple[int, int, int]] = ((0, 0, 1),),
    chosen: Sequence[Sequence[dict[str, Any]]] = (),
    trials: Sequence[dict[str, Any]] | None = None,
    varied: Sequence[str] = (),
    system: dict[str, list[float]] | None = None,
    slices: Sequence[SliceRow] = (),
    further: Sequence[dict[str, Any]] = (),
) -> ModelResult:
    """A row of the table; replicates are (test fold, validation fold, seed)."""
    identities = [Replicate(fold, inner, seed, test) for fold, inner, seed in replicates]
    tried = [record for fold in chosen for record in fold] if trials is None else list(trials)
    picked = [list(fold) for fold in chosen]
    return ModelResult(
        name, name, name.replace(" ", "_"), list(varied), "Recall@5", validation, picked, tried, identities, test,
        spread or {}, 60, system or {}, list(slices), list(further),
    )  # fmt: skip


def report(*models: ModelResult, **changes: Any) -> Report:
    """Of these rows, with changes of its fields."""
    metrics = list(models[0].test) if models else ["Recall@5"]
    plain = Report(
        dataset="shop",
        experiment="first",
        finished="2026-03-04 05:06:07",
        heading=["shop: 60 users, 40 items, 300 train, 60 test", "test figures; full ranking of the training items"],
        protocol={"candidates": "full ranking of the training items", "mask": "train", "relevance_threshold": 0.0},
        counts={"users": 60, "items": 40, "train": 300, "validation": 60, "test": 60},
        cutoffs=sorted({int(name.rpartition("@")[2]) for name in metrics}),
        metrics=metrics,
        suffix="",
        threshold=0.0,
        chosen_on_test=False,
        tests=[],
        models=list(models),
        failed=[],
        comparisons=[],
        guard=[],
        machine={"processor": "x"},
        versions={"torch": "2"},
        config="experiment: {}\n",
        examples=[],
    )
    return replace(plain, **changes)


def whole_report(folder: Path, lift: float = 0.0, seed: int = 5, **changes: Any) -> Report:
    """Three rows that were tuned and compared, two of them over three seeds, and one that failed; writes `per_user/`.

    `lift` is added to all per-user values of the row VBPR.
    """
    generator = np.random.default_rng(seed)
    users = np.array([f"u{place}" for place in range(200)], dtype=object)
    taste = generator.random(200)
    models = []
    for place, (name, more) in enumerate({"MostPop": 0.0, "BPRMF": 0.05, "VBPR": 0.15 + lift}.items()):
        seeds = 1 if name == "MostPop" else 3
        values = {
            f"{metric}@{k}": taste * share + more + 0.05 * generator.normal(size=(seeds, 200)) * k / 20
            for k in (10, 20)
            for metric, share in (("Recall", 0.1), ("nDCG", 0.05), ("HR", 0.2))
        }
        write_per_user(folder / "per_user" / f"{name}.npz", users, values)
        system = {"ItemCoverage@20": [10.0 * (place + 1)] * seeds}
        columns = {metric: array.mean(axis=1) for metric, array in values.items()}
        columns |= {metric: np.array(numbers) for metric, numbers in system.items()}
        test = {metric: float(array.mean()) for metric, array in columns.items()}
        spread = {metric: float(array.std(ddof=1)) for metric, array in columns.items()} if seeds > 1 else {}
        groups = [("all", "all", 200), ("user_activity", "1-4 rows", 120), ("user_activity", "5 rows or more", 80)]
        slices = [SliceRow(*each, {metric: test[metric] for metric in values}) for each in groups]
        params = {"seed": 1, "epochs": 20, "batch_size": 64}
        trials = [trial({metric: value + 0.01 * lr for metric, value in test.items()}, **params, lr=lr)
                  for lr in (0.001, 0.01)]  # fmt: skip
        if name == "MostPop":
            trials = [{**trial(test, seed=1), "epoch": 0, "parameters": 0}]
        if name == "VBPR":
            trials.append(failed_trial("diverged", **params, lr=10.0))
        varied = [] if name == "MostPop" else ["lr"]
        identities = [(0, 0, each) for each in range(seeds)]
        chosen = [[trials[0]]]
        further = [trial(**{**trials[0]["params"], "seed": each}) for each in range(2, 1 + seeds)]
        tuned = row(name, test, spread, test["Recall@10"], identities, chosen, trials, varied, system, slices, further)
        models.append(tuned)
    failed = [Failure("NGCF", "none of 4 configurations gave a figure (the loss is no number)")]
    tests = changes.setdefault("tests", list(TESTS))
    return report(*models, comparisons=compare_results(folder, models, tests), failed=failed, **changes)
