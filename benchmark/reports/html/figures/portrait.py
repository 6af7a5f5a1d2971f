"""A map of the items, and curves by epoch, of what a model shows of itself."""

from __future__ import annotations

from typing import Any

from benchmark.reports.html.figures.chart import COLOURS, SYMBOLS, Chart, Choice, Style, scale_kind
from benchmark.reports.html.figures.curves import thin
from benchmark.reports.html.words import label, number
from benchmark.reports.portrait import ShownPortrait

_POINTS = 200  # of a curve
_NAMED = 28  # concepts in the legend
_NOWHERE: dict[str, Any] = {"x": [None], "y": [None], "hoverinfo": "skip"}  # for an entry of the legend only


def concept_name(concept: int) -> str:
    """As readers count."""
    return "no concept" if concept < 0 else f"Concept {concept + 1}"


def look_of(concept: int) -> tuple[str, bool]:
    """Name of the colour, and whether the marks are hollow: 14 concepts differ."""
    return ("faint", False) if concept < 0 else (f"c{concept % COLOURS}", concept // COLOURS % 2 == 1)


def item_map(portrait: ShownPortrait, name: str, title: str, most: int) -> Chart | None:
    """The first `most` items: a colour a concept, a symbol a modality; without concepts, a colour a modality as well.

    A switch shows the items of one modality alone; a click on a concept in the legend hides it.
    """
    modalities = list(portrait.places)
    if not modalities or most == 0:
        return None
    groups = portrait.groups[:most]
    data, shown = [], []  # traces, and the place of their modality
    for concept in sorted(set(groups)) if groups else [None]:
        members = [place for place in range(most) if concept is None or groups[place] == concept]
        for turn, modality in enumerate(modalities):
            data.append(_points(portrait, modality, turn, concept, members))
            shown.append(turn)
    if groups and len(modalities) > 1:
        for turn, modality in enumerate(modalities):
            mark = {"color": "@quiet", "symbol": _symbol(turn), "size": 8}
            data.append({"type": "scatter", "mode": "markers", "name": label(modality), "marker": mark, **_NOWHERE})
            shown.append(turn)
    choices, variants = [], {}
    if len(modalities) > 1:
        choices = [Choice("Shown", ["all together", *modalities])]
        for option in range(len(modalities) + 1):
            variants[str(option)] = {"data": [{"visible": option in (0, turn + 1)} for turn in shown]}
    bare = {"showticklabels": False, "showgrid": False, "zeroline": False}
    layout = {
        "hovermode": "closest",
        "showlegend": bool(groups) or len(modalities) > 1,
        "legend": {"itemsizing": "constant"},
        "margin": {"b": 16},
        "xaxis": bare,
        "yaxis": bare | {"scaleanchor": "x"},
    }
    entries = sum(trace.get("showlegend", True) for trace in data)
    return Chart(name, title, data, layout, 500 + 22 * (entries // 8), choices, variants)


def _points(
    portrait: ShownPortrait, modality: str, turn: int, concept: int | None, members: list[int]
) -> dict[str, Any]:
    """The items of a concept by one modality, those that have it."""
    places = portrait.places[modality]
    spots = [(item, number(places[item][0]), number(places[item][1])) for item in members]
    spots = [spot for spot in spots if spot[1] is not None and spot[2] is not None]
    colour, hollow = (f"c{turn % COLOURS}", False) if concept is None else look_of(concept)
    named = modality if concept is None else concept_name(concept)
    return {
        "type": "scatter",
        "mode": "markers",
        "name": label(named),
        "legendgroup": named,
        "showlegend": concept is None or (turn == 0 and concept < _NAMED),
        "x": [x for _, x, _ in spots],
        "y": [y for _, _, y in spots],
        "text": [label(portrait.items[item], 60) for item, _, _ in spots],
        "meta": label(modality if concept is None else f"{named}, {modality}", 80),
        "hovertemplate": "%{text}<br>%{meta}<extra></extra>",
        "marker": {
            "color": f"@{colour}",
            "symbol": _symbol(turn) + "-open" * hollow,
            "size": 4 if concept == -1 else 6,
            "opacity": 0.75,
        },
    }


def _symbol(turn: int) -> str:
    return SYMBOLS[turn % len(SYMBOLS)]


def epochs(portrait: ShownPortrait, name: str, title: str) -> Chart | None:
    """All curves: losses on the left, the others on the right."""
    sides = {
        side: {key: curve for key, curve in portrait.curves.items() if curve and ("loss" in key.lower()) == losses}
        for side, losses in (("", True), ("2", False))
    }
    sides = {side: curves for side, curves in sides.items() if curves}
    if not sides:
        return None
    layout: dict[str, Any] = {"hovermode": "closest", "showlegend": True}
    data: list[dict[str, Any]] = []
    for side, curves in sides.items():
        domain = [0, 1] if len(sides) == 1 else [0, 0.45] if side == "" else [0.55, 1]
        values = [value for curve in curves.values() for value in curve if number(value) is not None]
        kind = scale_kind(values) if values and side == "" else "linear"
        layout[f"xaxis{side}"] = {"title": {"text": "epoch"}, "domain": domain, "anchor": f"y{side}"}
        layout[f"yaxis{side}"] = {"anchor": f"x{side}", "type": kind}
        for key, curve in curves.items():
            style = Style.of(len(data))
            points = thin(list(enumerate(curve, 1)), _POINTS)
            data.append({
                "type": "scatter",
                "mode": "lines+markers" if len(points) <= 30 else "lines",
                "name": label(key),
                "x": [epoch for epoch, _ in points],
                "y": [number(value) for _, value in points],
                "xaxis": f"x{side}",
                "yaxis": f"y{side}",
                "line": {"color": style.colour, "dash": style.dash, "width": 2},
                "marker": {"color": style.colour, "symbol": style.symbol, "size": 6},
                "hovertemplate": "%{fullData.name}<br>epoch %{x}: %{y}<extra></extra>",
            })  # fmt: skip
    return Chart(name, title, data, layout, 320)
