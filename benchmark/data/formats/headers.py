"""Which column of a delimited file is which."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from benchmark.data.formats.layout import Columns, Format, Layout, is_mmrec_header
from benchmark.data.formats.text import first_line
from workbench.config import nearest
from workbench.errors import UserError

ROLES = ("user", "item", "rating", "timestamp")
WHITESPACE = r"\s+"  # what pandas' parser takes as any run of blanks

# headers that leave no doubt about the roles, for tables whose columns always have names
USUAL = (
    Columns("userID", "itemID", "rating", "timestamp"),
    Columns("user_id", "item_id", "rating", "timestamp"),
    Columns("userId", "itemId", "rating", "timestamp"),
    Columns("user", "item", "rating", "timestamp"),
)


@dataclass(frozen=True)
class Dialect:
    """How a delimited file is cut, and which column is which.

    Attributes
    ----------
    separator : one character, or `WHITESPACE`.
    quoted : whether double quotes protect separators and line ends (RFC 4180).
    header : whether the first line holds names.
    width : number of columns.
    places : column by role: `user`, `item`, and where there are such, `rating`, `timestamp`, `label`.
    """

    separator: str
    quoted: bool
    header: bool
    width: int
    places: dict[str, int]


def dialect_of(path: Path, layout: Layout, form: Format) -> Dialect:
    """The dialect of a delimited file by its first line and by what the user says.

    Raises
    ------
    UserError : the first line does not fit; the message names what stands there.
    """
    line = first_line(path)
    separator = layout.separator or _separator(line, form)
    quoted = form == "csv"
    cells = _cells(line, separator, quoted)
    if form == "recbole":
        return _recbole(path, cells, layout, separator)
    columns = layout.columns
    if form == "mmrec" and columns is None:
        if not {"userID", "itemID"} <= set(cells):
            raise UserError(
                f"no header with userID and itemID, as MMRec's; the first line is {', '.join(cells[:4])}",
                where=f"{path}:1",
                mend="add it, say which `columns` they are, or say another `format`",
            )
        columns = _usual(USUAL[0], cells)
    header = columns is not None and columns.named()
    if columns is None:
        _refuse_header(path, cells)
        if not 2 <= len(cells) <= len(ROLES):
            raise UserError(
                f"{len(cells)} {_name(separator)}-separated columns where 2 to 4 are expected "
                "(user, item, rating, timestamp)",
                where=f"{path}:1",
                mend="separate the columns by tabs, without a header; or say below data_config which `columns` they "
                "are, their `separator`, or the `format` (adjacency: a user and all its items on one line)",
            )
        return Dialect(
            separator, quoted, False, len(cells), {role: place for place, role in enumerate(ROLES[: len(cells)])}
        )
    places = places_of(columns, cells, f"{path}:1")
    if form == "mmrec" and "x_label" in cells:
        places["label"] = cells.index("x_label")
    return Dialect(separator, quoted, header, len(cells), places)


def places_of(columns: Columns, names: list[str], where: object) -> dict[str, int]:
    """Column by role, from names or places.

    Raises
    ------
    UserError : no such column, a name that stands twice, or one column for two roles.
    """
    places: dict[str, int] = {}
    for role, given in columns.given().items():
        if isinstance(given, str):
            if given not in names:
                raise UserError(f"no column {given!r} ({role}) in the header", where=where, mend=nearest(given, names))
            if names.count(given) > 1:
                raise UserError(f"the column {given!r} stands twice in the header", where=where, mend="give its place")
            place = names.index(given)
        else:
            place = given
            if place >= len(names):
                raise UserError(f"no column {place} ({role}): there are {len(names)}", where=where, mend="count from 0")
        if place in places.values():
            other = next(known for known, taken in places.items() if taken == place)
            raise UserError(f"{role} and {other} are one column, {given!r}", where=where, mend="mend `columns`")
        places[role] = place
    return places


def _recbole(path: Path, cells: list[str], layout: Layout, separator: str) -> Dialect:
    typed = [cell.rpartition(":") for cell in cells]
    names, types = [name for name, _, _ in typed], [kind for _, _, kind in typed]
    if not all(names):
        of_mmrec = is_mmrec_header("\t".join(cells))
        raise UserError(
            "no typed header: RecBole's is like user_id:token<tab>item_id:token",
            where=f"{path}:1",
            mend="this one is MMRec's: say `--from mmrec`, or in an experiment file `format: mmrec`"
            if of_mmrec
            else "add it, or say another `format`",
        )
    places = places_of(layout.columns or _usual(USUAL[1], names), names, f"{path}:1")
    legal = {"user": ("token",), "item": ("token",), "rating": ("float", "token"), "timestamp": ("float", "token")}
    for role, place in places.items():
        if types[place] not in legal[role]:
            raise UserError(
                f"the column {names[place]!r} ({role}) is of type {types[place]!r}",
                where=f"{path}:1",
                mend=f"it should be {' or '.join(legal[role])}",
            )
    return Dialect(separator, False, True, len(cells), places)


def _usual(columns: Columns, names: list[str]) -> Columns:
    """The usual names, without rating or timestamp where the header has none."""
    rating = columns.rating if columns.rating in names else None
    timestamp = columns.timestamp if columns.timestamp in names else None
    return Columns(columns.user, columns.item, rating, timestamp)


def usual_columns(names: list[str]) -> Columns | None:
    """The columns of a table whose names leave no doubt, or None."""
    for columns in USUAL:
        if columns.user in names and columns.item in names:
            return _usual(columns, names)
    return None


def _refuse_header(path: Path, cells: list[str]) -> None:
    """A header that nobody declared would become a user called `user`."""
    known = usual_columns(cells[:2])
    if known is not None:
        said = ", ".join(f"{role}: {name}" for role, name in _usual_roles(cells).items())
        raise UserError(
            f"the first line looks like a header ({', '.join(cells[:4])}) and nothing declares one",
            where=f"{path}:1",
            mend=f"say `columns: {{{said}}}` below data_config, or remove the line",
        )


def _usual_roles(cells: list[str]) -> dict[str, str | int]:
    columns = usual_columns(cells)
    return {} if columns is None else columns.given()


def _separator(line: str, form: Format) -> str:
    if form == "mmrec":
        return "\t" if "\t" in line else ","
    if form == "cornac":
        return "\t" if "\t" in line else WHITESPACE
    return "," if form == "csv" else "\t"


def _cells(line: str, separator: str, quoted: bool) -> list[str]:
    if separator == WHITESPACE:
        return line.split()
    if quoted:
        return next(csv.reader([line], delimiter=separator), [""])
    return line.split(separator)


def _name(separator: str) -> str:
    return {"\t": "tab", ",": "comma", ";": "semicolon", " ": "blank", WHITESPACE: "blank"}.get(
        separator, repr(separator)
    )
