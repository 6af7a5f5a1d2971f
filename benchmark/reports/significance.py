"""Significance of the differences in the table: a file of all pairs, and which leads are more than chance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmark.evaluation.significance import Comparison, compare
from benchmark.reports.files import ModelResult
from workbench.files import write_text

LEVEL = 0.05


def compare_models(folder: Path, results: list[ModelResult], tests: Sequence[str]) -> list[Comparison]:
    """Compare every pair of models on every metric, from the per-user values on disk; writes `significance.tsv`."""
    if not tests or len(results) < 2:
        return []
    metrics = list(results[0].test)
    values: dict[str, np.ndarray] = {}
    for result in results:
        with np.load(folder / "per_user" / f"{result.name}.npz", allow_pickle=False) as arrays:
            values[result.name] = np.stack([arrays[metric] for metric in metrics], axis=1)
    comparisons = compare(values, metrics, tests)
    header = ["metric", "first", "second", "difference", "low", "high", "effect"]
    header += [f"{prefix}_{test}" for test in tests for prefix in ("p", "holm")]
    lines = ["\t".join(header)]
    for each in comparisons:
        numbers = [each.difference, each.low, each.high, each.effect]
        numbers += [found[test] for test in tests for found in (each.p, each.adjusted)]
        lines.append("\t".join([each.metric, each.first, each.second, *(f"{number:.6g}" for number in numbers)]))
    write_text(folder / "significance.tsv", "\n".join(lines) + "\n")
    return comparisons


def clear_leaders(comparisons: list[Comparison], test: str) -> set[tuple[str, str]]:
    """(model, metric) where the model beats every other one with an adjusted p below 0.05."""
    lost: set[tuple[str, str]] = set()
    seen: set[tuple[str, str]] = set()
    for each in comparisons:
        pair = [(each.first, each.metric), (each.second, each.metric)]
        seen.update(pair)
        clear = each.adjusted[test] < LEVEL
        lost.update(pair if not clear else [pair[1] if each.difference > 0 else pair[0]])
    return seen - lost
