"""`results.tsv` for spreadsheets and scripts, `results.json` with everything behind it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.config import ExperimentFile
from benchmark.data.dataset import Dataset
from benchmark.evaluation import Ranking
from benchmark.evaluation.slices import SliceRow
from benchmark.guard import Finding
from benchmark.measures import Measures
from benchmark.search.sweep import Chosen
from workbench.files import atomic_file, write_json, write_text
from workbench.runtime import versions


@dataclass(frozen=True)
class Replicate:
    """The chosen configuration once: on one validation fold of a test fold, under one seed (None for ready lists)."""

    fold: int
    validation_fold: int
    seed: int | None
    test: dict[str, float]


@dataclass(frozen=True)
class ModelResult:
    """One row of the table.

    Attributes
    ----------
    name : its label; model: the model's name.
    stem : of its files.
    varied : the parameters that had several values; monitor : the metric that chose among them.
    validation : mean validation value of what was chosen, None without validation.
    choices : what was chosen, one a test fold; empty for lists that were made elsewhere.
    replicates : the test figures of each replicate.
    test : `Metric@k` -> mean over replicates; spread : standard deviation over them, empty where there is one.
    users : number of judged users.
    system : of the metrics without per-user values, one number a replicate.
    slices : figures of groups of users and items.
    """

    name: str
    model: str
    stem: str
    varied: list[str]
    monitor: str
    validation: float | None
    choices: list[Chosen]
    replicates: list[Replicate]
    test: dict[str, float]
    spread: dict[str, float]
    users: int
    system: dict[str, list[float]]
    slices: list[SliceRow]

    @staticmethod
    def of_record(
        name: str,
        model: str,
        stem: str,
        varied: list[str],
        monitor: str,
        validation: float | None,
        choices: list[Chosen],
        replicates: list[Replicate],
        record: dict[str, Any],
    ) -> ModelResult:
        """With the figures of a journal record of the kind `test`."""
        slices = [SliceRow(**each) for each in record["slices"]]
        figures = record["test"], record["spread"], record["users"], record["system"], slices
        return ModelResult(name, model, stem, varied, monitor, validation, choices, replicates, *figures)

    @property
    def records(self) -> list[dict[str, Any]]:
        """Journal records of the chosen trials."""
        return [record for choice in self.choices for record in choice.records]

    @property
    def trials(self) -> list[dict[str, Any]]:
        """Journal records of all trials that were compared."""
        return [record for choice in self.choices for tried in choice.configurations for record in tried]

    @property
    def seconds(self) -> float:
        """Seconds of all trials together."""
        return float(sum(record.get("seconds", 0.0) for record in self.trials))

    @property
    def best(self) -> list[dict[str, Any]]:
        """The chosen values of the parameters that varied, one set a test fold."""
        return [{key: choice.records[0]["params"][key] for key in self.varied} for choice in self.choices]


def write_results(
    folder: Path,
    file: ExperimentFile,
    measures: Measures,
    dataset: Dataset,
    results: list[ModelResult],
    findings: Sequence[Finding],
) -> None:
    """Write `results.tsv` and `results.json` into the results folder."""
    metrics = list(results[0].test)
    suffix = heading_suffix(file)
    header = [
        "model",
        *(f"{metric}{suffix}" for metric in metrics),
        "validation_metric",
        "validation",
        "epoch",
        "seconds",
    ]
    header += ["peak_memory_mb", "parameters", "best"]
    if any(result.spread for result in results):
        header += [f"std {metric}{suffix}" for metric in metrics]
    lines = ["\t".join(header)]
    for result in results:
        cells = [result.name, *(f"{result.test[metric]:.6f}" for metric in metrics), result.monitor]
        cells += ["" if result.validation is None else f"{result.validation:.6f}", *_cost(result)]
        if any(each.spread for each in results):
            cells += [f"{result.spread[metric]:.6f}" if result.spread else "" for metric in metrics]
        lines.append("\t".join(cells))
    write_text(folder / "results.tsv", "\n".join(lines) + "\n")
    write_json(folder / "results.json", _everything(file, measures, dataset, results, findings))


def _cost(result: ModelResult) -> list[str]:
    """Epochs, seconds, memory, weights and what was chosen; a test fold after the other where there are several."""
    if not result.records:
        return [""] * 5
    best = result.best if len(result.best) > 1 else result.best[0]
    return [
        ",".join(str(record["epoch"]) for record in result.records),
        f"{result.seconds:.2f}",
        f"{max(record['peak_memory_mb'] for record in result.records):.0f}",
        str(result.records[0]["parameters"]),
        json.dumps(best),
    ]


def _everything(
    file: ExperimentFile,
    measures: Measures,
    dataset: Dataset,
    results: list[ModelResult],
    findings: Sequence[Finding],
) -> dict[str, Any]:
    return {
        "dataset": file.experiment.dataset,
        "protocol": measures.record(file.experiment),
        "guard": [vars(finding) for finding in findings],
        "counts": counts(dataset),
        "versions": versions("torch", "numpy", "pandas", "bottega"),
        "models": [
            {
                "row": result.name,
                "model": result.model,
                "users": result.users,
                "test": result.test,
                "spread": result.spread,
                "replicates": [vars(replicate) for replicate in result.replicates],
                "monitor": result.monitor,
                "chosen": result.records,
                "trials": result.trials,
            }
            for result in results
        ],
    }


def heading_suffix(file: ExperimentFile) -> str:
    """What follows the name of a metric in files, with a space before it; empty where all items are ranked."""
    sampling = file.experiment.negative_sampling
    return f" {sampling.suffix}" if sampling else ""


def counts(dataset: Dataset) -> dict[str, int]:
    """Users, items, and rows of each part."""
    parts = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    parts |= {"validation input": dataset.validation_input, "test input": dataset.test_input}
    rows = {name: len(part.items) for name, part in parts.items() if part is not None}
    return {"users": dataset.n_users, "items": dataset.n_items, **rows}


def write_lists(path: Path, ranking: Ranking, dataset: Dataset) -> None:
    """`<model>.tsv`: user, item, score, best first, raw ids."""
    items, scores = ranking.items.cpu().numpy(), ranking.scores.cpu().numpy()
    rows, columns = np.nonzero(items >= 0)
    users = ranking.users.cpu().numpy()[rows]
    user_ids, item_ids = np.array(dataset.user_ids, dtype=object), np.array(dataset.item_ids, dtype=object)
    lines = zip(user_ids[users], item_ids[items[rows, columns]], scores[rows, columns].tolist(), strict=True)
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(f"{user}\t{item}\t{score:.9g}\n" for user, item, score in lines)
