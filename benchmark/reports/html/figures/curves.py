"""Loss and monitored value of each trial, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmark.reports.html.figures.chart import Chart, Style, scale_kind, shade
from benchmark.reports.html.trials import Tried
from benchmark.reports.html.words import label, number
from benchmark.reports.report import ModelResult

_SPREAD = {"loss": ("x", "y"), "value": ("x2", "y2")}

Points = list[tuple[float, float]]


def curves(
    result: ModelResult, tried: Sequence[Tried], name: str, style: Style, most: int, most_points: int
) -> Chart | None:
    """Both over the epochs, the chosen trial above the others.

    Parameters
    ----------
    most : trials that are drawn beside the chosen ones, the best.
    most_points : of a curve; a longer one is thinned out.
    """
    trained = [each for each in tried if each.record.get("losses") or each.record.get("history")]
    if not trained:
        return None
    drawn = _drawn(trained, most)
    values = [each.value for each in drawn if each.value is not None]
    low, high = (min(values), max(values)) if values else (0.0, 0.0)
    losses: dict[int, Points] = {id(each): list(enumerate(each.record.get("losses", []), 1)) for each in drawn}
    history: dict[int, Points] = {id(each): list(map(tuple, each.record.get("history", []))) for each in drawn}
    sides = {side: points for side, points in (("loss", losses), ("value", history)) if any(points.values())}
    data = []
    for side, points in sides.items():
        for each in drawn:
            if points[id(each)]:
                few = thin(points[id(each)], most_points, _kept(each))
                data += _lines(each, few, _SPREAD[side], style, shade(each.value, low, high))
    return Chart(name, f"{result.row}: training curves of {len(drawn)} trials", data, _layout(result, sides), 320)


def _drawn(trained: Sequence[Tried], most: int) -> list[Tried]:
    """The best ones, and those that were chosen, which come last and so lie on top."""
    by_value = sorted(trained, key=lambda each: float("-inf") if each.value is None else each.value)
    others = [each for each in by_value if not each.chosen]
    return [*others[-most:], *(each for each in by_value if each.chosen)]


def _kept(each: Tried) -> float:
    return float(each.record.get("epoch") or 0)


def thin(points: Points, most: int, kept: float = 0.0) -> Points:
    """At most about so many points: first, last, the kept epoch (0 for none), and others at equal distances."""
    if len(points) <= most:
        return points
    places = {round(step * (len(points) - 1) / (most - 1)) for step in range(most)}
    places |= {place for place, (epoch, _) in enumerate(points) if epoch == kept}
    return [points[place] for place in sorted(places)]


def _lines(each: Tried, points: Points, axes: tuple[str, str], style: Style, colour: str) -> list[dict[str, Any]]:
    x, y = axes
    line = {
        "type": "scatter",
        "mode": "lines" if len(points) > 1 else "markers",
        "x": [epoch for epoch, _ in points],
        "y": [number(value) for _, value in points],
        "xaxis": x,
        "yaxis": y,
        "text": label(each.text, 80) + (" (chosen)" if each.chosen else ""),
        "hovertemplate": "%{text}<br>epoch %{x}: %{y}<extra></extra>",
        "line": {"color": style.colour, "width": 3} if each.chosen else {"color": colour, "width": 1.2},
        "opacity": 1 if each.chosen else 0.8,
    }
    kept = [(epoch, value) for epoch, value in points if epoch == _kept(each)]
    if not each.chosen or not kept:
        return [line]
    marker = {"color": style.colour, "symbol": style.symbol, "size": 11, "line": {"color": "@paper", "width": 1.5}}
    spot = {"mode": "markers", "marker": marker, "x": [kept[0][0]], "y": [number(kept[0][1])]}
    return [line, line | spot | {"hovertemplate": "kept: epoch %{x}, %{y}<extra></extra>"}]


def _layout(result: ModelResult, sides: dict[str, dict[int, Points]]) -> dict[str, Any]:
    both = len(sides) == 2
    layout: dict[str, Any] = {"hovermode": "closest", "showlegend": False}
    titles = {"loss": "mean loss of the epoch", "value": f"{result.monitor} on validation"}
    for side, points in sides.items():
        x, y = _SPREAD[side]
        domain = ([0, 0.45] if side == "loss" else [0.55, 1]) if both else [0, 1]
        values = [value for each in points.values() for _, value in each if number(value) is not None]
        kind = scale_kind(values) if values and side == "loss" else "linear"
        layout[f"xaxis{x[1:]}"] = {"title": {"text": "epoch"}, "domain": domain, "anchor": y, "rangemode": "tozero"}
        layout[f"yaxis{y[1:]}"] = {"title": {"text": label(titles[side])}, "anchor": x, "type": kind}
    return layout
