"""Two contents of the same items (image and text, ...), paired by id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loguru import logger

from extractor.sources.base import Note, Source, sha256_bytes
from workbench.errors import UserError


class JoinedSource(Source):
    """The items that have both contents; the others are counted and listed in `left_out`.

    Raises
    ------
    UserError : no item has both.
    """

    noun, plural = "pair", "pairs"

    def __init__(self, first: Source, second: Source) -> None:
        self.path = first.path
        self._first, self._second = first, second
        place_of = {item: place for place, item in enumerate(second.ids)}
        self._pairs = [(place, place_of[item]) for place, item in enumerate(first.ids) if item in place_of]
        if not self._pairs:
            raise UserError(
                f"no item has both {_a(first)} and {_a(second)}: {first.plural} are called {first.ids[0]!r}, ..., "
                f"items of {second.path} {second.ids[0]!r}, ...",
                where=first.path,
                mend=f"name the {first.plural} after the item ids",
            )
        self.ids: Sequence[str] = [first.ids[place] for place, _ in self._pairs]
        alone = _alone(first, second, set(self.ids)), _alone(second, first, set(self.ids))
        self.left_out = [*first.left_out, *second.left_out, *alone[0], *alone[1]]
        if any(alone):
            logger.warning(
                "{} items have {} and {}; {} {} have no {}, {} {} have no {}",
                len(self.ids), _a(first), _a(second), len(alone[0]), first.plural, second.noun,
                len(alone[1]), second.plural, first.noun,
            )  # fmt: skip

    def read(self, place: int) -> tuple[Any, Any]:
        """The (first, second) content of one item."""
        first, second = self._pairs[place]
        return self._first.read(first), self._second.read(second)

    def file(self, place: int) -> str:
        first, second = self._pairs[place]
        return f"{self._first.file(first)} + {self._second.file(second)}"

    def mark(self, place: int) -> str:
        first, second = self._pairs[place]
        return f"{self._first.mark(first)}\t{self._second.mark(second)}"

    def digest(self, place: int) -> bytes:
        first, second = self._pairs[place]
        return sha256_bytes(self._first.digest(first) + self._second.digest(second))


def _alone(source: Source, other: Source, paired: set[str]) -> list[Note]:
    return [
        Note(item, source.file(place), f"no {other.noun} for this {source.noun}")
        for place, item in enumerate(source.ids)
        if item not in paired
    ]


def _a(source: Source) -> str:
    return f"an {source.noun}" if source.noun[0] in "aeiou" else f"a {source.noun}"
