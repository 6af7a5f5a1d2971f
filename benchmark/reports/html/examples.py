"""Recommendations to look at, with pictures where there are some."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.reports.html.thumbnails import thumbnails
from benchmark.reports.html.words import shorten
from benchmark.reports.report import Example

MOST_USERS = 12
MOST_ITEMS = 12  # of a history, of what is wanted, and of a list


@dataclass(frozen=True)
class Shown:
    """An item. `picture`: number of its thumbnail, None where it has none."""

    item: str
    picture: int | None
    hit: bool = False


@dataclass(frozen=True)
class Strip:
    """Items in a line, and how many more there are."""

    title: str
    items: list[Shown]
    more: int
    hits: int = 0


@dataclass(frozen=True)
class Person:
    """One user."""

    user: str
    known: list[Strip]
    lists: list[Strip]


@dataclass(frozen=True)
class Gallery:
    """All of them; `pictures` by their numbers."""

    people: list[Person]
    pictures: list[str]


def gallery(examples: Sequence[Example], images: Path | None) -> Gallery:
    """The first users, with the first items of each list."""
    examples = examples[:MOST_USERS]
    addresses = thumbnails(images, _items(examples))
    numbers = {item: place for place, item in enumerate(addresses)}

    def strip(title: str, items: Sequence[str], hits: Sequence[bool] = ()) -> Strip:
        shown = [
            Shown(shorten(item, 200), numbers.get(item), bool(hits) and hits[place])
            for place, item in enumerate(items[:MOST_ITEMS])
        ]
        return Strip(title, shown, max(0, len(items) - MOST_ITEMS), sum(each.hit for each in shown))

    people = [
        Person(
            shorten(each.user, 80),
            [strip("Had", each.history), strip("To be found", each.wanted)],
            [
                strip(row, [entry.item for entry in entries], [entry.hit for entry in entries])
                for row, entries in each.lists.items()
            ],
        )
        for each in examples
    ]
    return Gallery(people, list(addresses.values()))


def _items(examples: Sequence[Example]) -> Iterable[str]:
    """In the order in which they are worth a picture."""
    for each in examples:
        for entries in each.lists.values():
            yield from (entry.item for entry in entries[:MOST_ITEMS])
        yield from each.wanted[:MOST_ITEMS]
        yield from each.history[:MOST_ITEMS]
