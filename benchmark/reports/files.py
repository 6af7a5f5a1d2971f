"""`results.tsv` for spreadsheets and scripts, `results.json` with everything behind it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from benchmark.config import ExperimentFile
from benchmark.data.dataset import Dataset
from benchmark.evaluation import Ranking
from benchmark.search.sweep import Chosen
from workbench.files import atomic_file, write_json, write_text
from workbench.runtime import versions


@dataclass(frozen=True)
class ModelResult:
    """One row of the table: the chosen trial of a model and its test figures (means over `users` users)."""

    name: str
    varied: list[str]
    monitor: str
    chosen: Chosen
    test: dict[str, float]
    users: int

    @property
    def validation(self) -> float | None:
        """Validation value of the chosen trial, None without validation."""
        value = self.chosen.record["validation"].get(self.monitor)
        return None if value is None else float(value)

    @property
    def seconds(self) -> float:
        """Seconds of all trials of the model together."""
        return float(sum(record.get("seconds", 0.0) for record in self.chosen.records))

    @property
    def best(self) -> dict[str, Any]:
        """The chosen values of the parameters that varied."""
        return {key: self.chosen.record["params"][key] for key in self.varied}


def write_results(folder: Path, file: ExperimentFile, dataset: Dataset, results: list[ModelResult]) -> None:
    """Write both files into the results folder."""
    metrics = list(results[0].test)
    header = [
        "model",
        *metrics,
        "validation_metric",
        "validation",
        "epoch",
        "seconds",
        "peak_memory_mb",
        "parameters",
        "best",
    ]
    lines = ["\t".join(header)]
    for result in results:
        record = result.chosen.record
        cells = [result.name, *(f"{result.test[metric]:.6f}" for metric in metrics), result.monitor]
        cells += ["" if result.validation is None else f"{result.validation:.6f}", str(record["epoch"])]
        cells += [
            f"{result.seconds:.2f}",
            f"{record['peak_memory_mb']:.0f}",
            str(record["parameters"]),
            json.dumps(result.best),
        ]
        lines.append("\t".join(cells))
    write_text(folder / "results.tsv", "\n".join(lines) + "\n")
    write_json(folder / "results.json", _everything(file, dataset, results))


def _everything(file: ExperimentFile, dataset: Dataset, results: list[ModelResult]) -> dict[str, Any]:
    experiment = file.experiment
    return {
        "dataset": experiment.dataset,
        "protocol": {
            "candidates": "all items of the training part that are not masked",
            "mask": experiment.evaluation.mask,
            "relevance_threshold": experiment.evaluation.relevance_threshold,
            "cutoffs": experiment.cutoffs,
            "selection": "validation only",
        },
        "counts": counts(dataset),
        "versions": versions("torch", "numpy", "pandas", "bottega"),
        "models": [
            {
                "model": result.name,
                "users": result.users,
                "test": result.test,
                "monitor": result.monitor,
                "chosen": result.chosen.record,
                "trials": result.chosen.records,
            }
            for result in results
        ],
    }


def counts(dataset: Dataset) -> dict[str, int]:
    """Users, items, and rows of each part."""
    parts = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    rows = {name: len(part.items) for name, part in parts.items() if part is not None}
    return {"users": dataset.n_users, "items": dataset.n_items, **rows}


def write_per_user(path: Path, ranking: Ranking, values: dict[str, Tensor], dataset: Dataset) -> None:
    """`<model>.npz`: raw ids of the judged users, and their values (E,) under `Metric@k`."""
    users = np.array([dataset.user_ids[user] for user in ranking.users.tolist()], dtype=np.str_)
    with atomic_file(path) as temporary, temporary.open("wb") as stream:
        arrays = {name: array.cpu().numpy() for name, array in values.items()}
        np.savez_compressed(stream, users=users, **arrays)  # type: ignore[arg-type]


def write_lists(path: Path, ranking: Ranking, dataset: Dataset) -> None:
    """`<model>.tsv`: user, item, score, best first, raw ids."""
    items, scores = ranking.items.cpu().numpy(), ranking.scores.cpu().numpy()
    rows, columns = np.nonzero(items >= 0)
    users = ranking.users.cpu().numpy()[rows]
    user_ids, item_ids = np.array(dataset.user_ids, dtype=object), np.array(dataset.item_ids, dtype=object)
    lines = zip(user_ids[users], item_ids[items[rows, columns]], scores[rows, columns].tolist(), strict=True)
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(f"{user}\t{item}\t{score:.7g}\n" for user, item, score in lines)
