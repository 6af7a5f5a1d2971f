"""`slices.tsv`, and a table of the groups with a column a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmark.evaluation.slices import SliceRow
from workbench.console import table
from workbench.files import write_text


def write_slices(path: Path, results: Mapping[str, Sequence[SliceRow]], metrics: Sequence[str]) -> None:
    """Write model, slice, group, users and the metrics; a group without users has no figures.

    Parameters
    ----------
    results : model -> its rows.
    metrics : `Metric@k`, the columns in their order.
    """
    lines = ["\t".join(["model", "slice", "group", "users", *metrics])]
    for model, rows in results.items():
        for row in rows:
            figures = [f"{row.values[metric]:.6f}" if metric in row.values else "" for metric in metrics]
            lines.append("\t".join([model, row.slice, row.group, str(row.users), *figures]))
    write_text(path, "\n".join(lines) + "\n")


def render_slices(results: Mapping[str, Sequence[SliceRow]], metric: str) -> str:
    """A row a group, a column a model, under one metric; `-` for a group without users."""
    models = list(results)
    cells = []
    for group in zip(*results.values(), strict=True):
        figures = [f"{row.values[metric]:.4f}" if metric in row.values else "-" for row in group]
        cells.append([group[0].slice, group[0].group, f"{group[0].users:,}", *figures])
    return f"{metric} by groups\n" + table(["slice", "group", "users", *models], cells, left=["group"])
