"""Text as tables can hold it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

# control characters, line ends, and marks that turn the direction of what stands beside them
_NOT_IN_A_LINE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def one_line(text: str) -> str:
    """The text with a space for every tab, line end and other control character."""
    return _NOT_IN_A_LINE.sub(" ", text)


def shape_of(value: float) -> str:
    """The format of a figure: about as many digits as it can be trusted to."""
    size = abs(value)
    return ".4g" if size >= 1e7 else ",.1f" if size >= 100 else ".4f"


def tab_separated(rows: Iterable[Sequence[str]]) -> str:
    """Lines of cells between tabs, without quotes: what a cell cannot hold is a space."""
    return "".join("\t".join(map(one_line, row)) + "\n" for row in rows)


def comma_separated(rows: Iterable[Sequence[str]]) -> str:
    """RFC 4180: cells with a comma, a quote or a line end in quotes, lines that end in CR LF."""
    stream = io.StringIO()
    csv.writer(stream).writerows(rows)
    return stream.getvalue()
