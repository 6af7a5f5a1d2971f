"""Raw ids behind parts under numbers.

`run_split.py` writes every part under raw ids and, as `*_indexed.tsv`, under numbers, with two maps in between. A file
of groups, lists or negatives may be under either; raw ids that are numbers, as MovieLens', fit both ways.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from workbench.errors import UserError

USERS_MAP, ITEMS_MAP = "users_map.tsv", "items_map.tsv"
Numbering = Literal["parts", "raw"]
_CLEARLY = 10  # so many times more ids are known one way than the other


@dataclass(frozen=True)
class IdMap:
    """Raw id by number, as the parts have it, of one map; some raw id is not its own number."""

    path: Path
    raw: dict[str, str]


@dataclass(frozen=True)
class RawIds:
    """The maps behind the parts of an experiment; None: the parts have the raw ids."""

    users: IdMap | None = None
    items: IdMap | None = None


NO_MAPS = RawIds()


@dataclass(frozen=True)
class Column:
    """The ids of users or items in a file, and what they may be.

    Attributes
    ----------
    given : ids as they stand in the file.
    ids : ids of the parts, by number.
    """

    given: Iterable[str]
    ids: Sequence[str]
    map: IdMap | None


def read_raw_ids(folder: Path) -> RawIds:
    """Both maps of a data folder, as far as they are there and say anything."""
    return RawIds(_read_map(folder / USERS_MAP), _read_map(folder / ITEMS_MAP))


def index_of(ids: Sequence[str], known: IdMap | None, numbering: Numbering) -> dict[str, int]:
    """Number by id, as a file under this numbering has the ids."""
    if known is None or numbering == "parts":
        return {identifier: number for number, identifier in enumerate(ids)}
    return {known.raw[identifier]: number for number, identifier in enumerate(ids) if identifier in known.raw}


def numbering_of(columns: Sequence[Column], where: object) -> Numbering:
    """Which ids a file has, told by a column that clearly has more ids that are known one way than the other.

    Raises
    ------
    UserError : it may be either.
    """
    mapped = [column for column in columns if column.map is not None]
    votes = [_votes(column) for column in mapped]
    told: set[Numbering] = {
        "raw" if raw > parts else "parts"
        for parts, raw in votes
        if max(parts, raw) > 0 and max(parts, raw) >= _CLEARLY * min(parts, raw)
    }
    if len(told) == 1:
        return told.pop()
    parts, raw = (sum(counts) for counts in zip((0, 0), *votes, strict=True))
    if parts == raw == 0:
        return "parts"
    maps = " and ".join(str(column.map.path) for column in mapped if column.map is not None)
    raise UserError(
        f"its ids may be raw ids ({raw} are known) or the numbers of `*_indexed.tsv` ({parts} are known), which mean "
        f"others by {maps}",
        where=where,
        mend="say `ids: raw` or `ids: parts` where this file is named, or point the parts to the files without "
        "`_indexed`",
    )


def numbering_of_pairs(
    blocks: Iterable[tuple[Iterable[str], Iterable[str]]],
    user_ids: Sequence[str],
    item_ids: Sequence[str],
    raw: RawIds,
    where: object,
) -> Numbering:
    """The numbering of a file of users and items, from their ids, some at a time; not read where there are no maps."""
    if raw == NO_MAPS:
        return "parts"
    users: set[str] = set()
    items: set[str] = set()
    for some_users, some_items in blocks:
        users.update(some_users)
        items.update(some_items)
    return numbering_of([Column(users, user_ids, raw.users), Column(items, item_ids, raw.items)], where)


def _votes(column: Column) -> tuple[int, int]:
    """How many ids are known as those of the parts, and how many as raw ones, without those that mean the same."""
    parts, raw = index_of(column.ids, None, "parts"), index_of(column.ids, column.map, "raw")
    differing = [each for each in set(column.given) if parts.get(each) != raw.get(each)]
    return sum(each in parts for each in differing), sum(each in raw for each in differing)


def read_numbers(path: Path) -> dict[str, int]:
    """A map as `run_split.py` writes it: raw id, tab, number, in the order of the file.

    Raises
    ------
    UserError : a line that is no such pair, or an id or a number that stands twice.
    """
    found: dict[str, int] = {}
    numbers: set[int] = set()
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise UserError(f"not UTF-8 text: {error.reason}", where=path, mend="split again") from error
    for line, text in enumerate(lines, start=1):
        raw, tab, number = text.rpartition("\t")
        if not text:
            continue
        if not tab or not raw or raw in found or not (number.isascii() and number.isdigit()) or int(number) in numbers:
            raise UserError("a raw id and its number are expected", where=f"{path}:{line}", mend="split again")
        found[raw] = int(number)
        numbers.add(found[raw])
    return found


def _read_map(path: Path) -> IdMap | None:
    if not path.is_file():
        return None
    raw = {str(number): identifier for identifier, number in read_numbers(path).items()}
    return None if all(number == identifier for number, identifier in raw.items()) else IdMap(path, raw)


def raw_of(ids: Sequence[str], known: IdMap | None) -> list[str]:
    """The raw ids behind those of the parts."""
    return list(ids) if known is None else [known.raw.get(identifier, identifier) for identifier in ids]
