"""What a chart is: a Plotly figure as plain data, and what can be switched in it.

Colours are names of the page's style sheet (`@ink`, `@c0`), so that light and dark look right; the page's script puts
them in. Only SVG traces are used: WebGL is missing where there is no screen. Categories stand at whole numbers, so that
no name is taken for a number, a date or markup.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmark.reports.html.words import label, setting
from benchmark.reports.report import ModelResult, Report

COLOURS = 7  # @c0 to @c6
SHADES = 5  # @s0 (lowest) to @s4
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "pentagon", "star", "hexagon")
_DASHES = ("solid", "dash", "dot", "dashdot")
_LOG_FROM = 20  # largest over smallest value of a log axis, at least


@dataclass(frozen=True)
class Choice:
    """A switch: what it chooses, its options, and the one that is chosen at first."""

    title: str
    options: list[str]
    first: int = 0


@dataclass(frozen=True)
class Chart:
    """A figure.

    Attributes
    ----------
    name : its id in the page; title: what it shows, for those who cannot see it.
    variants : places of the chosen options joined by `,` -> what the figure gets in addition (merged, lists replaced).
    height : in CSS pixels.
    """

    name: str
    title: str
    data: list[dict[str, Any]]
    layout: dict[str, Any]
    height: int = 360
    choices: list[Choice] = field(default_factory=list)
    variants: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def content(self) -> dict[str, Any]:
        """What the page's script draws."""
        return {"data": self.data, "layout": self.layout, "variants": self.variants, "name": self.name}


@dataclass(frozen=True)
class Style:
    """How a row looks in every chart: no two of 56 share colour and symbol."""

    colour: str
    symbol: str
    dash: str

    @staticmethod
    def of(place: int) -> Style:
        symbol = SYMBOLS[place % len(SYMBOLS)]
        return Style(f"@c{place % COLOURS}", symbol, _DASHES[place // COLOURS % len(_DASHES)])


def metric_choice(report: Report) -> Choice:
    """A switch over all metrics that begins with the one that chose."""
    monitors = [result.monitor for result in report.models if result.monitor in report.metrics]
    first = report.metrics.index(monitors[0]) if monitors else 0
    return Choice("Metric", [metric + report.suffix for metric in report.metrics], first)


def legend_height(rows: Sequence[ModelResult]) -> int:
    """Room for the names of the rows above a chart, in pixels."""
    return 22 * math.ceil(sum(len(label(row.row, 28)) + 8 for row in rows) / 90)


def shade(value: float | None, low: float, high: float) -> str:
    """The colour of a line for a value between two others; the palest shade is for areas only."""
    if value is None:
        return "@faint"
    share = (value - low) / (high - low) if high > low else 1.0
    return f"@s{1 + min(int(share * (SHADES - 1)), SHADES - 2)}"


@dataclass(frozen=True)
class Scale:
    """How the values of a parameter lie on an axis.

    Attributes
    ----------
    kind : numbers on a line, numbers by their logarithm, or categories one after the other.
    values : the distinct ones in order.
    """

    kind: str
    values: list[Any]

    @staticmethod
    def of(values: Sequence[Any]) -> Scale:
        distinct = list({setting(value, 200): value for value in values}.values())
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in distinct) and distinct:
            ordered = sorted(distinct)
            if all(math.isfinite(value) for value in ordered):
                return Scale(scale_kind([float(value) for value in ordered]), ordered)
        return Scale("category", distinct)

    def place(self, value: Any) -> float:
        """Where a value lies: itself, or its place among the categories."""
        if self.kind != "category":
            return float(value)
        return float([setting(each, 200) for each in self.values].index(setting(value, 200)))

    def share(self, value: Any) -> float:
        """Where a value lies between the first (0) and the last (1)."""
        low, high, here = (self._along(each) for each in (self.values[0], self.values[-1], value))
        return (here - low) / (high - low) if high > low else 0.5

    def _along(self, value: Any) -> float:
        return math.log(value) if self.kind == "log" else self.place(value)

    def ticks(self, most: int) -> list[Any]:
        """Values to write beside the axis, at most so many, the first and the last among them."""
        if len(self.values) <= most:
            return self.values
        return [self.values[round(step * (len(self.values) - 1) / (most - 1))] for step in range(most)]

    def axis(self, title: str, most: int = 10) -> dict[str, Any]:
        """The axis of a chart."""
        axis: dict[str, Any] = {"title": {"text": label(title)}, "type": "log" if self.kind == "log" else "linear"}
        if self.kind == "category":
            axis |= {"range": [-0.5, len(self.values) - 0.5]}
        if self.kind == "category" or len(self.values) <= most:
            shown = self.ticks(40)
            axis |= {"tickvals": [self.place(value) for value in shown]}
            axis |= {"ticktext": [label(setting(value, 24)) for value in shown]}
        return axis


def scale_kind(values: Sequence[float]) -> str:
    """`log` for positive numbers over more than an order of magnitude, otherwise `linear`."""
    return "log" if min(values) > 0 and max(values) / min(values) >= _LOG_FROM else "linear"
