"""The monitored value over the parameters that varied: dots, a heat map, or parallel coordinates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.reports.html.figures.chart import SHADES, Chart, Scale, Style, shade
from benchmark.reports.html.trials import Tried
from benchmark.reports.html.words import figure, label, number, setting
from benchmark.reports.report import ModelResult

_WIDEST = 40  # cells of a heat map along one side
_TICKS = 8  # values written beside an axis of parallel coordinates; where there are no more, they stand evenly
_WRITTEN = 60  # cells of a heat map that have room for their value
_SHADES = [[place / (SHADES - 1), f"@s{place}"] for place in range(SHADES)]


@dataclass(frozen=True)
class Point:
    """A configuration: its values, in the order of the parameters, and the mean over folds of what it reached."""

    values: tuple[Any, ...]
    reached: float | None
    failed: bool
    chosen: bool

    @property
    def text(self) -> str:
        value = "failed" if self.failed else "no value" if self.reached is None else figure(self.reached)
        return value + (" (chosen)" if self.chosen else "")


def landscape(result: ModelResult, tried: Sequence[Tried], name: str, style: Style, most: int) -> Chart | None:
    """The chart that fits the number of parameters.

    Parameters
    ----------
    most : lines of parallel coordinates, the best ones.
    """
    points = points_of(tried)
    if not result.varied or len(points) < 2 or not any(point.reached is not None for point in points):
        return None
    scales = [Scale.of([point.values[place] for point in points]) for place in range(len(result.varied))]
    if len(scales) == 1:
        return _dots(result, points, scales[0], name, style)
    if len(scales) == 2:
        across = scales[1], scales[0]
        dense = len(points) * 2 > len(across[0].values) * len(across[1].values)
        fits = all(len(scale.values) <= _WIDEST for scale in across)
        return (_heat_map if dense and fits else _scatter)(result, points, across, name)
    return _parallel(result, points, scales, name, style, most)


def points_of(tried: Sequence[Tried]) -> list[Point]:
    """One a configuration; it failed where no fold has a value for it and one says why."""
    groups: dict[str, list[Any]] = {}
    for each in tried:
        groups.setdefault(repr([setting(value, 200) for value in each.settings.values()]), []).append(each)
    points = []
    for group in groups.values():
        known = [each.value for each in group if each.value is not None]
        reached = sum(known) / len(known) if known else None
        failed = reached is None and any(each.failed is not None for each in group)
        chosen = any(each.chosen for each in group)
        points.append(Point(tuple(group[0].settings.values()), reached, failed, chosen))
    return points


def _bounds(points: Sequence[Point]) -> tuple[float, float]:
    known = [point.reached for point in points if point.reached is not None]
    return min(known), max(known)


def _dots(result: ModelResult, points: list[Point], scale: Scale, name: str, style: Style) -> Chart:
    ordered = sorted(points, key=lambda point: scale.place(point.values[0]))
    known = [point for point in ordered if point.reached is not None]
    failed = [point for point in ordered if point.failed]
    low, _ = _bounds(points)
    line = {
        "type": "scatter",
        "mode": "markers" if scale.kind == "category" else "lines+markers",
        "x": [scale.place(point.values[0]) for point in known],
        "y": [number(point.reached) for point in known],
        "text": [point.text for point in known],
        "hovertemplate": "%{x}: %{text}<extra></extra>" if scale.kind != "category" else "%{text}<extra></extra>",
        "line": {"color": style.colour, "width": 1.5},
        "marker": {
            "color": style.colour,
            "symbol": style.symbol,
            "size": [15 if point.chosen else 9 for point in known],
            "line": {"color": "@ink", "width": [2 if point.chosen else 0 for point in known]},
        },
        "showlegend": False,
    }
    data = [line, _crosses([scale.place(point.values[0]) for point in failed], [number(low)] * len(failed))]
    layout = {"xaxis": scale.axis(result.varied[0]), "yaxis": {"title": {"text": label(result.monitor)}}}
    return Chart(name, f"{result.row}: {result.monitor} by {result.varied[0]}", data, layout, 300)


def _crosses(x: Sequence[float], y: Sequence[float | None]) -> dict[str, Any]:
    marker = {"symbol": "x", "size": 10, "color": "@bad"}
    hover = {"text": "failed", "hovertemplate": "failed<extra></extra>"}
    return {"type": "scatter", "mode": "markers", "x": x, "y": y, "marker": marker, "showlegend": False, **hover}


def _heat_map(result: ModelResult, points: list[Point], scales: tuple[Scale, Scale], name: str) -> Chart:
    across, up = (Scale("category", scale.values) for scale in scales)
    cells: list[list[float | None]] = [[None] * len(across.values) for _ in up.values]
    texts = [[""] * len(across.values) for _ in up.values]
    for point in points:
        column, row = round(across.place(point.values[1])), round(up.place(point.values[0]))
        cells[row][column], texts[row][column] = number(point.reached), point.text
    written = len(across.values) * len(up.values) <= _WRITTEN
    heat = {
        "type": "heatmap",
        "x": list(range(len(across.values))),
        "y": list(range(len(up.values))),
        "z": cells,
        "text": texts,
        "texttemplate": "%{z:.4f}" if written and max(_bounds(points)) < 100 else "",
        "hovertemplate": "%{text}<extra></extra>",
        "hoverongaps": False,
        "colorscale": _SHADES,
        "colorbar": {"title": {"text": label(result.monitor), "side": "right"}, "thickness": 12, "outlinewidth": 0},
        "xgap": 2,
        "ygap": 2,
    }
    chosen = [(across.place(point.values[1]), up.place(point.values[0])) for point in points if point.chosen]
    failed = [(across.place(point.values[1]), up.place(point.values[0])) for point in points if point.failed]
    frames = [
        {"type": "rect", "x0": x - 0.48, "x1": x + 0.48, "y0": y - 0.47, "y1": y + 0.47, "line": _FRAME}
        for x, y in chosen
    ]
    layout = {
        "xaxis": across.axis(result.varied[1]) | {"showgrid": False},
        "yaxis": up.axis(result.varied[0]) | {"showgrid": False},
        "shapes": frames,
    }
    data = [heat, _crosses([x for x, _ in failed], [y for _, y in failed])]
    height = min(160 + 48 * len(up.values), 640)
    title = f"{result.row}: {result.monitor} by {result.varied[0]} and {result.varied[1]}"
    return Chart(name, title, data, layout, height)


_FRAME = {"color": "@ink", "width": 2.5}


def _scatter(result: ModelResult, points: list[Point], scales: tuple[Scale, Scale], name: str) -> Chart:
    across, up = scales
    known = [point for point in points if point.reached is not None]
    failed = [point for point in points if point.failed]
    bar = {"title": {"text": label(result.monitor), "side": "right"}, "thickness": 12, "outlinewidth": 0}
    dots = {
        "type": "scatter",
        "mode": "markers",
        "x": [across.place(point.values[1]) for point in known],
        "y": [up.place(point.values[0]) for point in known],
        "text": [point.text for point in known],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {
            "color": [number(point.reached) for point in known],
            "colorscale": _SHADES,
            "colorbar": bar,
            "size": [16 if point.chosen else 10 for point in known],
            "line": {"color": "@ink", "width": [2.5 if point.chosen else 0.5 for point in known]},
        },
        "showlegend": False,
    }
    crosses = _crosses([across.place(each.values[1]) for each in failed], [up.place(each.values[0]) for each in failed])
    layout = {"xaxis": across.axis(result.varied[1]), "yaxis": up.axis(result.varied[0])}
    title = f"{result.row}: {result.monitor} by {result.varied[0]} and {result.varied[1]}"
    return Chart(name, title, [dots, crosses], layout, 400)


def _parallel(
    result: ModelResult, points: list[Point], scales: list[Scale], name: str, style: Style, most: int
) -> Chart:
    """A line a configuration, from its values to what it reached; a failed one ends before."""
    scales = [Scale("category", scale.values) if len(scale.values) <= _TICKS else scale for scale in scales]
    low, high = _bounds(points)
    ordered = sorted(points, key=lambda point: (point.chosen, -1.0 if point.reached is None else point.reached))
    end = len(scales)
    data = []
    for point in ordered[-most:]:
        heights = [scale.share(value) for scale, value in zip(scales, point.values, strict=True)]
        if point.reached is not None:
            heights.append((point.reached - low) / (high - low) if high > low else 0.5)
        pairs = zip(result.varied, point.values, strict=True)
        settings = "<br>".join(f"{label(key)} = {label(setting(value))}" for key, value in pairs)
        colour = style.colour if point.chosen else "@bad" if point.failed else shade(point.reached, low, high)
        data.append({
            "type": "scatter",
            "mode": "lines+markers",
            "x": list(range(len(heights))),
            "y": [number(height) for height in heights],
            "text": f"{settings}<br>{point.text}",
            "hovertemplate": "%{text}<extra></extra>",
            "line": {
                "color": colour,
                "width": 3.5 if point.chosen else 1.5,
                "shape": "spline",
                "smoothing": 0.5,
                "dash": "dot" if point.failed else "solid",
            },
            "marker": {"size": 7 if point.chosen else 4, "color": colour},
            "opacity": 1 if point.chosen else 0.7,
            "showlegend": False,
        })  # fmt: skip
    notes = [note for place, scale in enumerate(scales) for note in _notes(place, scale, setting)]
    notes += _notes(end, Scale("linear", [low, high]), figure)
    titles = [*result.varied, result.monitor]
    xaxis = {
        "tickvals": list(range(end + 1)),
        "ticktext": [label(title, 24) for title in titles],
        "range": [-0.35, end + 0.45],
        "showgrid": False,
        "zeroline": False,
        "side": "top",
    }
    rulers = [
        {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "line": {"color": "@quiet", "width": 1}, "layer": "below"}
        for x in range(end + 1)
    ]
    layout = {"xaxis": xaxis, "yaxis": {"visible": False, "range": [-0.08, 1.08]}, "shapes": rulers}
    layout |= {"annotations": notes, "hovermode": "closest"}
    title = f"{result.row}: {result.monitor} by {', '.join(result.varied)}"
    return Chart(name, title, data, layout, 380)


def _notes(place: int, scale: Scale, text: Callable[[Any], str]) -> list[dict[str, Any]]:
    """The values beside an axis of parallel coordinates."""
    ticks = scale.ticks(_TICKS) if len(scale.values) > 1 else scale.values
    style = {"showarrow": False, "xanchor": "left", "xshift": 5, "bgcolor": "@paper", "opacity": 0.9}
    return [
        style | {"x": place, "y": number(scale.share(value)), "text": label(text(value), 18), "font": {"size": 11}}
        for value in ticks
    ]
