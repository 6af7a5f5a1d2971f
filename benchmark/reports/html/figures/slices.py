"""Figures of groups of users and items."""

from __future__ import annotations

from benchmark.evaluation.slices import SliceRow
from benchmark.reports.html.figures.chart import Chart, Style, legend_height, metric_choice
from benchmark.reports.html.words import label, number
from benchmark.reports.report import Report

_ALL = "all"  # the slice of all judged users


def slice_charts(report: Report) -> list[Chart]:
    """One a slice: bars a group, a colour a row."""
    names = dict.fromkeys(each.slice for row in report.models for each in row.slices if each.slice != _ALL)
    return [_chart(report, name, place) for place, name in enumerate(names)]


def _chart(report: Report, name: str, place: int) -> Chart:
    rows = [row for row in report.models if any(each.slice == name for each in row.slices)]
    found = [{each.group: each for each in row.slices if each.slice == name} for row in rows]
    groups = list(dict.fromkeys(group for each in found for group in each))
    data = []
    for row in rows:
        style = Style.of(report.models.index(row))
        data.append({
            "type": "bar",
            "name": label(row.row),
            "x": list(range(len(groups))),
            "marker": {"color": style.colour},
            "hovertemplate": "%{fullData.name}: %{y}<extra></extra>",
        })  # fmt: skip
    variants = {}
    for number_of, metric in enumerate(report.metrics):
        bars = [{"y": [_value(each.get(group), metric) for group in groups]} for each in found]
        variants[str(number_of)] = {
            "data": bars,
            "layout": {"yaxis": {"title": {"text": label(metric + report.suffix)}}},
        }
    texts = [f"{label(group, 34)}<br>{_users([each[group] for each in found if group in each])}" for group in groups]
    xaxis = {"tickvals": list(range(len(groups))), "ticktext": texts, "showgrid": False}
    layout = {"barmode": "group", "bargap": 0.3, "xaxis": xaxis, "showlegend": True}
    height = 330 + legend_height(rows)
    title = f"By {name.replace('_', ' ')}"
    return Chart(f"slice-{place}", title, data, layout, height, [metric_choice(report)], variants)


def _value(row: SliceRow | None, metric: str) -> float | None:
    return None if row is None else number(row.values.get(metric))


def _users(rows: list[SliceRow]) -> str:
    """How many users a group has; a range where rows were judged on different ones."""
    counts = sorted({row.users for row in rows})
    text = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    return f"{text} user" if counts == [1] else f"{text} users"
