"""What models show of themselves, as the page has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from benchmark.reports.html.figures.chart import Chart
from benchmark.reports.html.figures.portrait import concept_name, epochs, item_map, look_of
from benchmark.reports.html.strips import MOST_ITEMS, Dot, Strip, items_of
from benchmark.reports.html.words import shorten
from benchmark.reports.portrait import ShownPortrait
from benchmark.reports.report import Report

# what keeps a page of many rows within a few megabytes
_POINTS = 12_000  # on the maps of all rows together
_MOST_POINTS, _FEWEST_POINTS = 4_000, 600  # on one map
_MOST_CONCEPTS = 24  # with a line of items, of one row


@dataclass(frozen=True)
class Inside:
    """One row. `drawn` of the `placed` items are on the map, and `strips` are of the first of `concepts`."""

    row: str
    numbers: dict[str, str]
    curves: Chart | None
    map: Chart | None
    drawn: int
    placed: int
    strips: list[Strip]
    concepts: int


def insides(report: Report, pictures: Mapping[str, int]) -> list[Inside]:
    """The rows whose models show something; the more of them, the fewer points on each map."""
    rows = [(row.row, row.portrait) for row in report.models if row.portrait is not None]
    most = max(_FEWEST_POINTS, min(_MOST_POINTS, _POINTS // max(len(rows), 1)))
    made = [_inside(row, portrait, number, most, pictures) for number, (row, portrait) in enumerate(rows)]
    return [each for each in made if each.numbers or each.curves or each.map or each.strips]


def _inside(row: str, portrait: ShownPortrait, number: int, most: int, pictures: Mapping[str, int]) -> Inside:
    drawn = min(len(portrait.items), most // max(len(portrait.places), 1))
    strips = []
    for concept, top in enumerate(portrait.tops[:_MOST_CONCEPTS]):
        colour, hollow = look_of(concept)
        note = shorten(portrait.captions[concept], 120) if concept < len(portrait.captions) else ""
        dot = Dot(colour, hollow) if portrait.groups else None
        strips.append(Strip(concept_name(concept), items_of(top, pictures), note=note, dot=dot))
    return Inside(
        row,
        {shorten(name, 120): f"{value:.4g}" for name, value in portrait.numbers.items()},
        epochs(portrait, f"inside-curves-{number}", f"{row}: curves by epoch"),
        item_map(portrait, f"inside-map-{number}", f"{row}: map of {drawn} items", drawn),
        drawn,
        portrait.placed,
        strips,
        len(portrait.tops),
    )


def typical_items(report: Report) -> Iterable[str]:
    """In the order in which they are worth a picture: the first of every concept of every row, then the second."""
    tops = [top for row in report.models if row.portrait for top in row.portrait.tops[:_MOST_CONCEPTS]]
    for place in range(MOST_ITEMS):
        yield from (top[place] for top in tops if place < len(top))
