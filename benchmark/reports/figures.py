"""The figures of the table as cells: how they are written, which is best, which leads clearly; and the notes below."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from benchmark.evaluation.metrics import better
from benchmark.evaluation.metrics.registry import WITHOUT_CUTOFF
from benchmark.reports.report import ModelResult, Report
from benchmark.reports.significance import clear_leaders, footer
from benchmark.reports.text import shape_of

Rank = Literal["best", "second"]


@dataclass(frozen=True)
class Figure:
    """A cell of the table.

    Attributes
    ----------
    text : the number, `-` where it is undefined.
    spread : the deviation, empty where there is none.
    rank : None where it is neither the best nor the runner-up.
    leads : the best, and clearly better than every other row.
    """

    text: str
    spread: str
    rank: Rank | None
    leads: bool


def columns_at(report: Report, cutoff: int) -> list[str]:
    """The columns that stand under a cutoff; a metric that has none stands under the last."""
    last = cutoff == report.cutoffs[-1]
    parts = [(metric, *metric.rpartition("@")[::2]) for metric in report.metrics]
    return [metric for metric, name, k in parts if k == str(cutoff) and (last or name not in WITHOUT_CUTOFF)]


def clear_leads(report: Report) -> set[tuple[str, str]]:
    """(row, metric) of clear leads, on metrics of which more, or less, is better for each user."""
    if not report.tests:
        return set()
    directed = [each for each in report.comparisons if each.over_users is not None and better(each.metric) is not None]
    smaller = [metric for metric in report.metrics if better(metric) == "smaller"]
    return clear_leaders(directed, report.tests[0], smaller)


def figures_of(report: Report, metric: str, leads: set[tuple[str, str]]) -> list[Figure]:
    """The cells of a column, one a row of the table."""
    values = [model.test.get(metric, math.nan) for model in report.models]
    spreads = [model.spread.get(metric, math.nan) for model in report.models]
    ranks = ranked(values, better(metric))
    finite = [value for value in values if math.isfinite(value)]
    whole = not any(model.spread for model in report.models) and max(finite, default=0) > 1
    whole = whole and all(value == round(value) for value in finite)  # counts, such as those of ItemCoverage
    largest = max(map(abs, finite), default=0.0)
    shape = ",.0f" if whole and largest < 1e7 else shape_of(largest)  # one for the whole column
    cells = []
    for model, value, spread, rank in zip(report.models, values, spreads, ranks, strict=True):
        leads_here = rank == "best" and (model.row, metric) in leads
        if math.isnan(value):
            cells.append(Figure("-", "", None, False))
        else:
            cells.append(
                Figure(f"{value:{shape}}", "" if math.isnan(spread) else f"{spread:{shape}}", rank, leads_here)
            )
    return cells


def ranked(values: Sequence[float], direction: Literal["larger", "smaller"] | None) -> list[Rank | None]:
    """The best value and the runner-up of a column, undefined values left out.

    Nothing is ranked where all values are equal or none is the better one; equal values are equally good. A runner-up
    there is behind a single best, where at least three values are compared.
    """
    finite = [value for value in values if math.isfinite(value)]
    different = sorted(set(finite), reverse=direction == "larger")
    if direction is None or len(different) < 2:
        return [None] * len(values)
    best, second = different[:2]
    follows = len(finite) > 2 and finite.count(best) == 1
    return ["best" if value == best else "second" if follows and value == second else None for value in values]


def notes(report: Report, leads: set[tuple[str, str]]) -> list[str]:
    """The sentences below the table: over what the deviations are, and what a dagger stands for."""
    found = []
    folds = max((_folds(model) for model in report.models), default=1)
    if any(model.spread for model in report.models):
        kinds = dict.fromkeys(_replicates(model) for model in report.models if model.spread)
        text = f"±: standard deviation over {' or '.join(kinds)}"
        found.append(f"{text}, of figures over all {folds} test folds" if folds > 1 else text)
    if leads:
        found.append(footer(report.comparisons, report.tests[0], folds))
    return found


def _replicates(model: ModelResult) -> str:
    """Of one test fold: they are pooled before the deviation is taken."""
    own = [each for each in model.replicates if each.fold == model.replicates[0].fold]
    folds = len({each.validation_fold for each in own})
    seeds = len(own) // max(folds, 1)
    if folds == 1:
        return f"{seeds} seeds"
    parts = f"{folds} validation folds"
    return parts if seeds == 1 else f"{len(own)} replicates ({parts} x {seeds} seeds)"


def _folds(model: ModelResult) -> int:
    return len({each.fold for each in model.replicates})
