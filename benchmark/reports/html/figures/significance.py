"""Every row against every other: the difference, and how likely chance is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from benchmark.evaluation.metrics import better
from benchmark.evaluation.significance import Comparison
from benchmark.reports.html.figures.chart import Chart, Choice, metric_choice
from benchmark.reports.html.words import label, number
from benchmark.reports.report import Report
from benchmark.reports.significance import LEVEL

MOST_CELLS = 15_000  # of all matrices of a page; beyond, further tests and then the last metrics are left out
_WRITTEN = 10  # rows of a matrix that has room for numbers
_FAINTEST = 0.35  # colour of the smallest difference, of that of the largest
_TITLES = {
    "paired_ttest": "paired t-test",
    "wilcoxon_test": "Wilcoxon signed-rank test",
    "bootstrap_test": "paired bootstrap test",
    "permutation_test": "sign-flip permutation test",
}
_WELCH = "Welch's t-test over replicates"  # of metrics without a value a user


@dataclass(frozen=True)
class Cell:
    """Row minus column. `better`: 1 where the row is the better one and p is below 0.05, -1 for the column, else 0."""

    difference: float
    p: float | None
    better: int

    @property
    def text(self) -> str:
        size = abs(self.difference)
        text = f"{self.difference:+,.1f}" if size >= 100 else f"{self.difference:+.4f}" if size >= 5e-5 else "0"
        if self.p is None:
            return text
        return f"{text}<br>p {'&lt; .001' if self.p < 0.001 else f'= {self.p:.3f}'}"


def significance(report: Report) -> Chart | None:
    """Row minus column, coloured where the adjusted p is below 0.05; None where nothing was compared."""
    if not report.comparisons:
        return None
    names = [row.row for row in report.models]
    tests = list(report.tests) or [_WELCH]
    if len(report.metrics) * len(tests) * len(names) ** 2 > MOST_CELLS:
        tests = tests[:1]
    metrics = report.metrics[: max(1, MOST_CELLS // (len(tests) * len(names) ** 2))]
    pairs = {(each.metric, each.first, each.second): each for each in report.comparisons}
    variants = {
        f"{place},{turn}": {"data": [_matrix(pairs, metric, test, names)]}
        for place, metric in enumerate(metrics)
        for turn, test in enumerate(tests)
    }
    labels = [label(name, 24) for name in names]
    heat = {
        "type": "heatmap",
        "x": list(range(len(names))),
        "y": list(range(len(names))),
        "customdata": [[f"{first} against {second}" for second in labels] for first in labels],
        "hovertemplate": "%{customdata}<br>%{text}<extra></extra>",
        "texttemplate": "%{text}" if len(names) <= _WRITTEN else "",
        "textfont": {"size": 12},
        "colorscale": [[0, "@minus"], [0.5, "@neutral"], [1, "@plus"]],
        "zmin": -1,
        "zmax": 1,
        "showscale": False,
        "hoverongaps": False,
        "xgap": 2,
        "ygap": 2,
    }
    axis = {"tickvals": heat["x"], "ticktext": labels, "showgrid": False, "zeroline": False}
    layout = {"xaxis": axis | {"side": "top"}, "yaxis": axis | {"autorange": "reversed"}}
    choice = metric_choice(report)
    first = choice.first if choice.first < len(metrics) else 0
    choices = [
        Choice("Metric", choice.options[: len(metrics)], first),
        Choice("Test", [_TITLES.get(test, test) for test in tests]),
    ]
    height = min(140 + 52 * len(names), 760)
    return Chart("significance", "Differences between rows", [heat], layout, height, choices, variants)


def adjusted(comparison: Comparison, test: str) -> float | None:
    """p after Holm's correction: of the test over users or, for a metric without them, of Welch's t over replicates."""
    users, seeds = comparison.over_users, comparison.over_seeds
    p = users.adjusted.get(test) if users is not None else None if seeds is None else seeds.adjusted
    return None if p is None or math.isnan(p) else float(p)


def _matrix(pairs: dict[tuple[str, str, str], Comparison], metric: str, test: str, names: list[str]) -> dict[str, Any]:
    cells = [[_cell(pairs, metric, test, first, second) for second in names] for first in names]
    largest = max((abs(cell.difference) for row in cells for cell in row if cell), default=0.0) or 1.0
    colours = [[None if cell is None else number(_colour(cell, largest)) for cell in row] for row in cells]
    return {"z": colours, "text": [["" if cell is None else cell.text for cell in row] for row in cells]}


def _colour(cell: Cell, largest: float) -> float:
    return cell.better * (_FAINTEST + (1 - _FAINTEST) * abs(cell.difference) / largest)


def _cell(
    pairs: dict[tuple[str, str, str], Comparison], metric: str, test: str, first: str, second: str
) -> Cell | None:
    found, sign = pairs.get((metric, first, second)), 1
    if found is None:
        found, sign = pairs.get((metric, second, first)), -1
    if found is None or not math.isfinite(found.difference):
        return None
    difference, p = sign * found.difference, adjusted(found, test)
    ahead = (difference > 0) - (difference < 0)
    direction = {"larger": 1, "smaller": -1, None: 0}[better(metric)]
    return Cell(difference, p, ahead * direction if p is not None and p < LEVEL else 0)
