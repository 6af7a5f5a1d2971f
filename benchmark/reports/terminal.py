"""The tables that an experiment ends with."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence

from benchmark.reports.costs import RowCost, cost_of
from benchmark.reports.figures import Figure, clear_leads, columns_at, figures_of, notes
from benchmark.reports.report import ModelResult, Report
from benchmark.reports.slices import render_slices
from benchmark.reports.text import one_line
from benchmark.reports.wrapping import Column, tables, terminal_width, width

_BOLD, _UNDERLINED, _PLAIN = "\x1b[1m", "\x1b[4m", "\x1b[0m"
_LEAST_ROOM = 24  # places for what was chosen, beside everything else


def render(report: Report, styled: bool = False) -> str:
    """Tables of the figures, cutoff by cutoff, one of what was chosen and what it took, and one of the slices.

    Parameters
    ----------
    styled : the best value of a column is bold and the runner-up underlined; otherwise `*` marks the best. `†` stands
        for a clear lead in both.
    """
    lines = [
        _styled(line, _BOLD if styled and not place else "")
        for place, heading in enumerate(report.heading)
        for line in textwrap.wrap(one_line(heading), terminal_width())
    ]
    if report.models:
        lines += _tables(report, styled)
    lines += _troubles(report)
    return "\n".join(lines)


def _tables(report: Report, styled: bool) -> list[str]:
    leads = clear_leads(report)
    models = ("model", [one_line(model.row) for model in report.models])
    label = [f"figures{report.suffix}"] if report.suffix else []
    lines = []
    for cutoff in report.cutoffs:
        columns = [
            (one_line(metric), _cells(figures_of(report, metric, leads), styled))
            for metric in columns_at(report, cutoff)
        ]
        for text in tables([models], columns, styled=styled):
            lines += [*label, text]
    lines += _choices(models, report, styled)
    for note in notes(report, leads):
        lines += textwrap.wrap(note, terminal_width())
    groups = {one_line(model.row): model.slices for model in report.models if model.slices}
    if groups:
        measured = next(iter(groups.values()))[0].values
        metric = next((each for each in report.metrics if each in measured), report.metrics[0])
        lines.append(render_slices(groups, metric, report.suffix, styled))
    return lines


def _cells(figures: Sequence[Figure], styled: bool) -> list[str]:
    """Deviations and marks take their places in every cell of a column that has one: numbers stand below each other."""
    spreads = [f" ±{figure.spread}" if figure.spread else "" for figure in figures]
    marks = [_mark(figure, styled) for figure in figures]
    margin = 0 if styled and not any(marks) else 1
    reach = max(map(len, spreads))
    cells = []
    for figure, spread, mark in zip(figures, spreads, marks, strict=True):
        style = {"best": _BOLD, "second": _UNDERLINED, None: ""}[figure.rank] if styled else ""
        cells.append(f"{_styled(figure.text, style)}{spread:>{reach}}{mark:{margin}}")
    return cells


def _mark(figure: Figure, styled: bool) -> str:
    if figure.leads:
        return "†"
    return "*" if figure.rank == "best" and not styled else ""


def _styled(text: str, style: str) -> str:
    return f"{style}{text}{_PLAIN}" if style else text


def _choices(models: Column, report: Report, styled: bool) -> list[str]:
    """What was chosen by validation (or on test), and what it took; two tables where one is too wide."""
    on_test = report.chosen_on_test
    by = [
        "-" if each.validation is None else f"{each.monitor} {each.validation:.4f}{' (test)' if on_test else ''}"
        for each in report.models
    ]
    head = "chosen by" if on_test else "validation"
    before: list[Column] = [models, (head, by)]
    after = _cost_columns([cost_of(each) for each in report.models])
    room = terminal_width() - 1 - 3 - sum(map(width, before))
    beside = room - sum(map(width, after))
    together = beside >= _LEAST_ROOM
    texts = [
        "\n".join(textwrap.wrap(_chosen(each), beside if together else max(room, _LEAST_ROOM)))
        for each in report.models
    ]
    first = [(head, by), ("chosen", texts)]
    left = [head, "chosen"]
    if together:
        return list(tables([models], [*first, *after], left, styled))
    return [*tables([models], first, left, styled), *tables([models], after, styled=styled)]


def _cost_columns(costs: Sequence[RowCost]) -> list[Column]:
    """The columns of cost that hold something, and the weights."""

    def column(heading: str, values: Sequence[float | None], shape: str) -> Column:
        return heading, ["-" if value is None else f"{value:{shape}}" for value in values]

    columns = [
        column("seconds", [cost.total.seconds for cost in costs], ",.1f"),
        column("CPU s", [cost.total.cpu_seconds for cost in costs], ",.1f"),
        column("MB", [cost.chosen.memory_mb for cost in costs], ",.0f"),
        column("GPU MB", [cost.chosen.gpu_memory_mb for cost in costs], ",.0f"),
        column("J", [cost.total.energy_joules for cost in costs], ",.0f"),
        column("weights", [cost.weights for cost in costs], ","),
    ]
    return [(heading, cells) for heading, cells in columns if set(cells) != {"-"}]


def _chosen(model: ModelResult) -> str:
    """Parameters and epoch of what was chosen, in the first test fold where there are several."""
    chosen = [f"{key}={_short(value)}" for key, value in model.chosen_settings]
    if chosen and len(model.chosen_records) > 1:
        chosen.append(f"(1st of {len(model.chosen_records)} folds)")
    return one_line(", ".join(chosen)) or "-"


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _troubles(report: Report) -> list[str]:
    """A line a row without figures, and one a row of which some trials gave none."""
    lines = [f"no figures for {failure.row}: {failure.reason}" for failure in report.failed]
    for model in report.models:
        kinds = Counter(_kind(record) for record in model.trials if "failed" in record)
        if kinds:
            counts = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
            lines.append(f"{model.row}: {kinds.total()} of {len(model.trials)} trials gave no figures ({counts})")
    return [line for each in lines for line in textwrap.wrap(one_line(each), terminal_width(), subsequent_indent="  ")]


def _kind(record: dict[str, object]) -> str:
    return str(record.get("why", "failed")).replace("_", " ")
