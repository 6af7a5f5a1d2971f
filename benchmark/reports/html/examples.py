"""Recommendations to look at, with pictures where there are some."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmark.reports.html.strips import MOST_ITEMS, Strip, items_of
from benchmark.reports.html.words import shorten
from benchmark.reports.report import Example, ListedItem

MOST_USERS = 12


@dataclass(frozen=True)
class Person:
    """One user."""

    user: str
    known: list[Strip]
    lists: list[Strip]


def gallery(examples: Sequence[Example], pictures: Mapping[str, int]) -> list[Person]:
    """The first users, with the first items of each list."""
    return [
        Person(
            shorten(each.user, 80),
            [
                Strip(title, items_of(items, pictures), max(0, len(items) - MOST_ITEMS))
                for title, items in (("Had", each.history), ("To be found", each.wanted))
            ],
            [_list(row, entries, pictures) for row, entries in each.lists.items()],
        )
        for each in examples[:MOST_USERS]
    ]


def _list(row: str, entries: Sequence[ListedItem], pictures: Mapping[str, int]) -> Strip:
    shown = items_of([entry.item for entry in entries], pictures, [entry.hit for entry in entries])
    hits = sum(each.hit for each in shown)
    return Strip(row, shown, max(0, len(entries) - MOST_ITEMS), f"{hits} hit{'' if hits == 1 else 's'}")


def example_items(examples: Sequence[Example]) -> Iterable[str]:
    """In the order in which they are worth a picture."""
    for each in examples[:MOST_USERS]:
        for entries in each.lists.values():
            yield from (entry.item for entry in entries[:MOST_ITEMS])
        yield from each.wanted[:MOST_ITEMS]
        yield from each.history[:MOST_ITEMS]
