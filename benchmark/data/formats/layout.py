"""What the user says about a table, and what its name and first line say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmark.data.formats.text import first_line, plain_suffix

Format = Literal["tsv", "csv", "parquet", "recbole", "mmrec", "adjacency", "cornac"]


@dataclass(frozen=True)
class Columns:
    """Where the columns are: names of a header, or places from 0."""

    user: str | int
    item: str | int
    rating: str | int | None = None
    timestamp: str | int | None = None

    def given(self) -> dict[str, str | int]:
        """The columns that are named, by role."""
        return {role: place for role, place in vars(self).items() if place is not None}

    def named(self) -> bool:
        """Whether any column is given by name, which declares a header."""
        return any(isinstance(place, str) for place in self.given().values())


@dataclass(frozen=True)
class Layout:
    """How a table is laid out; None: told by its suffix and first line.

    Attributes
    ----------
    format : one of `Format`.
    columns : which column is which; names declare a header.
    separator : one character between columns; default: a tab, for `csv` a comma.
    """

    format: Format | None = None
    columns: Columns | None = None
    separator: str | None = None


def recognise(path: Path, layout: Layout) -> Format:
    """The format of a file: the one that is said, that of a telling suffix, that of a header that leaves no doubt."""
    if layout.format is not None:
        return layout.format
    suffix = plain_suffix(path)
    if suffix in (".parquet", ".pq"):
        return "parquet"
    if suffix in (".npy", ".json"):
        return "cornac"
    line = first_line(path)
    if is_recbole_header(line):
        return "recbole"
    if is_mmrec_header(line):
        return "mmrec"
    return "csv" if suffix == ".csv" and ("," in line or "\t" not in line) else "tsv"


def is_recbole_header(line: str) -> bool:
    """RecBole's typed header, such as `user_id:token<tab>item_id:token`."""
    types = ("token", "float", "token_seq", "float_seq")
    return all(cell.rpartition(":")[0] and cell.rpartition(":")[2] in types for cell in line.split("\t"))


def is_mmrec_header(line: str) -> bool:
    """MMRec's header, `userID<tab>itemID...`, or the same with commas."""
    return line.replace(",", "\t").split("\t")[:2] == ["userID", "itemID"]
