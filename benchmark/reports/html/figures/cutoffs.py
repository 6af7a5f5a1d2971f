"""Each metric against its cutoff."""

from __future__ import annotations

from benchmark.evaluation.metrics.registry import WITHOUT_CUTOFF
from benchmark.reports.html.figures.chart import Chart, Choice, Style, legend_height
from benchmark.reports.html.words import label, number
from benchmark.reports.report import Report


def cutoffs(report: Report) -> Chart | None:
    """A line a row, with its deviation; None unless there are several cutoffs."""
    families: dict[str, dict[int, str]] = {}
    for metric in report.metrics:
        if (k := cutoff_of(metric)) is not None:
            families.setdefault(metric.rpartition("@")[0], {})[k] = metric
    families = {name: dict(sorted(at.items())) for name, at in families.items() if len(at) > 1}
    if not families or not report.models:
        return None
    data = []
    for place, row in enumerate(report.models):
        style = Style.of(place)
        data.append({
            "type": "scatter",
            "mode": "lines+markers",
            "name": label(row.row),
            "hovertemplate": "%{fullData.name}<br>@%{x}: %{y}<extra></extra>",
            "line": {"color": style.colour, "dash": style.dash, "width": 2},
            "marker": {"color": style.colour, "symbol": style.symbol, "size": 8},
        })  # fmt: skip
    variants = {}
    for place, (name, at) in enumerate(families.items()):
        lines = []
        for row in report.models:
            line = {"x": list(at), "y": [number(row.test.get(metric)) for metric in at.values()]}
            spread = [number(row.spread.get(metric)) for metric in at.values()]
            error = {"array": spread, "visible": any(spread), "thickness": 1, "width": 3}
            lines.append(line | {"error_y": error})
        yaxis = {"title": {"text": label(name + report.suffix)}, "rangemode": "tozero"}
        variants[str(place)] = {"data": lines, "layout": {"xaxis": {"tickvals": list(at)}, "yaxis": yaxis}}
    monitors = [row.monitor.rpartition("@")[0] for row in report.models]
    first = next((place for place, name in enumerate(families) if name in monitors), 0)
    layout = {"xaxis": {"title": {"text": "cutoff k"}}, "showlegend": True}
    choice = Choice("Metric", [name + report.suffix for name in families], first)
    height = 360 + legend_height(report.models)
    return Chart("cutoffs", "Each metric against its cutoff, a line a row", data, layout, height, [choice], variants)


def cutoff_of(metric: str) -> int | None:
    """The k of `Metric@k`; None where it changes nothing."""
    name, _, k = metric.rpartition("@")
    return int(k) if name and k.isdecimal() and name not in WITHOUT_CUTOFF else None
