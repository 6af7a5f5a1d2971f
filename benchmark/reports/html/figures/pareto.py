"""Cost against quality."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmark.evaluation.metrics import better
from benchmark.reports.costs import RowCost, cost_of
from benchmark.reports.html.figures.chart import Chart, Choice, Style, metric_choice, scale_kind
from benchmark.reports.html.words import label, number
from benchmark.reports.report import Report

_COSTS: dict[str, Callable[[RowCost], float | None]] = {
    "seconds of the chosen trial": lambda cost: cost.chosen.seconds,
    "seconds of all trials": lambda cost: cost.total.seconds,
    "peak memory (MB)": lambda cost: cost.chosen.memory_mb,
    "GPU memory (MB)": lambda cost: cost.chosen.gpu_memory_mb,
    "number of weights": lambda cost: cost.weights,
    "energy of all trials (J)": lambda cost: cost.total.energy_joules,
}


def pareto(report: Report) -> Chart | None:
    """Every row that has a cost; the line joins those that no other row beats in both."""
    rows = [cost_of(row) for row in report.models]
    costs = {name: [of(row) for row in rows] for name, of in _COSTS.items()}
    costs = {name: values for name, values in costs.items() if sum(value is not None for value in values) > 1}
    metrics = [metric for metric in report.metrics if better(metric) is not None]
    if not costs or not metrics:
        return None
    styles = [Style.of(place) for place in range(len(report.models))]
    line = {"color": "@quiet", "width": 1.5, "dash": "dot", "shape": "hv"}
    front = {"type": "scatter", "mode": "lines", "line": line, "hoverinfo": "skip", "showlegend": False}
    dots = {
        "type": "scatter",
        "mode": "markers+text",
        "text": [label(row.row, 24) for row in report.models],
        "textposition": "top center",
        "cliponaxis": False,
        "hovertemplate": "%{text}<br>%{x} · %{y}<extra></extra>",
        "marker": {
            "color": [style.colour for style in styles],
            "symbol": [style.symbol for style in styles],
            "line": {"color": "@ink"},
        },
        "showlegend": False,
    }
    variants = {}
    for place, metric in enumerate(metrics):
        values = [row.test.get(metric) for row in report.models]
        for turn, (name, spent) in enumerate(costs.items()):
            optimal = front_of(spent, values, better(metric) == "smaller")
            known = [value for value in spent if value is not None]
            joined = sorted(optimal, key=lambda row: (spent[row] or 0.0, values[row] or 0.0))
            variants[f"{place},{turn}"] = {
                "data": [
                    {"x": [number(spent[row]) for row in joined], "y": [number(values[row]) for row in joined]},
                    {
                        "x": [number(value) for value in spent],
                        "y": [number(value) for value in values],
                        "marker": {
                            "size": [14 if row in optimal else 10 for row in range(len(spent))],
                            "line": {"width": [2 if row in optimal else 0 for row in range(len(spent))]},
                        },
                    },
                ],
                "layout": {
                    "xaxis": {"title": {"text": name}, "type": scale_kind(known), "nticks": 8},
                    "yaxis": {"title": {"text": label(metric + report.suffix)}},
                },
            }
    chosen = metric_choice(report)
    first = metrics.index(report.metrics[chosen.first]) if report.metrics[chosen.first] in metrics else 0
    choices = [Choice("Metric", [metric + report.suffix for metric in metrics], first), Choice("Cost", list(costs))]
    return Chart("pareto", "Cost against quality", [front, dots], {"hovermode": "closest"}, 420, choices, variants)


def front_of(costs: Sequence[float | None], values: Sequence[float | None], smaller: bool = False) -> set[int]:
    """Places that no other beats: none is at least as cheap and at least as good, and one of both strictly."""
    sign = -1.0 if smaller else 1.0
    known = [
        (place, cost, sign * value)
        for place, (cost, value) in enumerate(zip(costs, values, strict=True))
        if cost is not None and value is not None and number(value) is not None
    ]
    return {
        place
        for place, cost, value in known
        if not any(
            other_cost <= cost and other >= value and (other_cost, other) != (cost, value)
            for _, other_cost, other in known
        )
    }
