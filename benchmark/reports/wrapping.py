"""Tables that are wider than the terminal, as several below each other."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence

from prettytable import PrettyTable
from wcwidth import wcswidth

Column = tuple[str, list[str]]  # heading and cells

_NARROWEST, _UNWATCHED = 60, 100
_STYLE = re.compile(r"\x1b\[[0-9;]*m")
_LINES = {
    "horizontal_char": "─",
    "vertical_char": "│",
    "junction_char": "┼",
    "top_junction_char": "┬",
    "bottom_junction_char": "┴",
    "left_junction_char": "├",
    "right_junction_char": "┤",
    "top_left_junction_char": "┌",
    "top_right_junction_char": "┐",
    "bottom_left_junction_char": "└",
    "bottom_right_junction_char": "┘",
}


def terminal_width() -> int:
    """Characters a line; 100 where nobody watches a terminal."""
    return max(_NARROWEST, shutil.get_terminal_size((_UNWATCHED, 24)).columns)


def tables(
    repeated: Sequence[Column], columns: Sequence[Column], left: Sequence[str] = (), styled: bool = False
) -> Iterator[str]:
    """As few tables as fit the terminal; each begins with the `repeated` columns, those in `left` to the left.

    A column that does not fit beside the repeated ones has a table of its own. `styled` draws lines of boxes.
    """
    room = terminal_width() - 1 - sum(map(width, repeated))
    held: list[Column] = []
    for column in columns:
        if held and sum(map(width, [*held, column])) > room:
            yield _table([*repeated, *held], left, styled)
            held = []
        held.append(column)
    if held:
        yield _table([*repeated, *held], left, styled)


def width(column: Column) -> int:
    """Places of a column in a table, its margins and one border included."""
    heading, cells = column
    return 3 + max(places(line) for cell in [heading, *cells] for line in cell.split("\n"))


def places(line: str) -> int:
    """Places that a line takes in a terminal: codes of style take none, some characters take two."""
    plain = _STYLE.sub("", line)
    found = wcswidth(plain)
    return len(plain) if found < 0 else found


def _table(columns: Sequence[Column], left: Sequence[str], styled: bool) -> str:
    names: list[str] = []
    for heading, _ in columns:
        while heading in names:  # a row of the table may be called like a column, and PrettyTable wants them different
            heading += " "
        names.append(heading)
    pretty = PrettyTable(names)
    pretty.align = "r"
    for name in (names[0], *left):
        pretty.align[name] = "l"
    for part, character in _LINES.items() if styled else ():
        setattr(pretty, part, character)
    pretty.add_rows([list(row) for row in zip(*(cells for _, cells in columns), strict=True)])
    return pretty.get_string()
