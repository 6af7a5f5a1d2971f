"""Items in a line, with pictures where there are some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmark.reports.html.words import shorten

MOST_ITEMS = 12  # of a line


@dataclass(frozen=True)
class Shown:
    """An item. `picture`: number of its thumbnail, None where it has none."""

    item: str
    picture: int | None
    hit: bool = False


@dataclass(frozen=True)
class Dot:
    """How a concept looks on the map: the name of a colour, and whether the marks are hollow."""

    colour: str
    hollow: bool


@dataclass(frozen=True)
class Strip:
    """Items in a line, how many more there are, and what is to be said of them."""

    title: str
    items: list[Shown]
    more: int = 0
    note: str = ""
    dot: Dot | None = None


def items_of(items: Sequence[str], pictures: Mapping[str, int], hits: Sequence[bool] = ()) -> list[Shown]:
    """The first items of a line; `pictures`: item -> number of its thumbnail."""
    return [
        Shown(shorten(item, 200), pictures.get(item), bool(hits) and hits[place])
        for place, item in enumerate(items[:MOST_ITEMS])
    ]
