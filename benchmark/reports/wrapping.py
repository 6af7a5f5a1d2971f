"""Tables that are wider than the terminal, as several below each other."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence

from workbench.console import table

Column = tuple[str, list[str]]  # heading and cells

_NARROWEST = 100


def terminal_width() -> int:
    """Characters a line; at least 100, also where nobody watches a terminal."""
    return max(_NARROWEST, shutil.get_terminal_size().columns)


def tables(repeated: Sequence[Column], columns: Sequence[Column], left: Sequence[str] = ()) -> Iterator[str]:
    """As few tables as fit the terminal; each begins with the `repeated` columns, those in `left` to the left.

    A column that does not fit beside the repeated ones has a table of its own.
    """
    room = terminal_width() - 1 - sum(map(width, repeated))
    held: list[Column] = []
    for column in columns:
        if held and sum(map(width, [*held, column])) > room:
            yield _table([*repeated, *held], left)
            held = []
        held.append(column)
    if held:
        yield _table([*repeated, *held], left)


def width(column: Column) -> int:
    """Characters of a column in a table, its margins and one border included."""
    heading, cells = column
    return 3 + max(map(len, [heading, *cells]))


def _table(columns: Sequence[Column], left: Sequence[str]) -> str:
    return table([heading for heading, _ in columns], list(zip(*(cells for _, cells in columns), strict=True)), left)
