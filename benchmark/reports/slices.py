"""`slices.tsv`, and a table of the groups with a column a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmark.evaluation.slices import SliceRow
from benchmark.reports.text import one_line, tab_separated
from benchmark.reports.wrapping import tables
from workbench.files import write_text


def write_slices(
    path: Path, results: Mapping[str, Sequence[SliceRow]], metrics: Sequence[str], suffix: str = ""
) -> None:
    """Write model, slice, group, users and the metrics; a group without users has no figures.

    Parameters
    ----------
    results : model -> its rows.
    metrics : `Metric@k`, the columns in their order.
    suffix : follows their names.
    """
    lines = [["model", "slice", "group", "users", *(f"{metric}{suffix}" for metric in metrics)]]
    for model, rows in results.items():
        for row in rows:
            figures = [f"{row.values[metric]:.6f}" if metric in row.values else "" for metric in metrics]
            lines.append([model, row.slice, row.group, str(row.users), *figures])
    write_text(path, tab_separated(lines))


def render_slices(
    results: Mapping[str, Sequence[SliceRow]], metric: str, suffix: str = "", styled: bool = False
) -> str:
    """A row a group, a column a model, under one metric; `-` for a group without users.

    Where the models were judged on different numbers of users in a group, these are a range.
    """
    groups: dict[tuple[str, str], dict[str, SliceRow]] = {}
    for model, rows in results.items():
        for row in rows:
            groups.setdefault((row.slice, row.group), {})[model] = row
    users = [sorted({row.users for row in found.values()}) for found in groups.values()]
    fixed = [
        ("slice", [one_line(name) for name, _ in groups]),
        ("group", [one_line(group) for _, group in groups]),
        ("users", [f"{each[0]:,}" if len(each) == 1 else f"{each[0]:,} to {each[-1]:,}" for each in users]),
    ]
    columns = [(model, [_figure(found.get(model), metric) for found in groups.values()]) for model in results]
    return "\n".join([f"{metric}{suffix} by groups", *tables(fixed, columns, ["group"], styled)])


def _figure(row: SliceRow | None, metric: str) -> str:
    return "-" if row is None or metric not in row.values else f"{row.values[metric]:.4f}"
