"""The reviews of a dump as integer arrays, one row a (user, item) pair."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from bottega.amazon.lines import BadLine, Numbered, Quarantine, read_dump
from workbench.errors import UserError

Duplicates = Literal["first", "last", "max", "error"]

_EARLIEST, _LATEST = 631_152_000, 4_102_444_800  # 1990 and 2100; outside, the unit is not the one expected
_BLOCK = 1 << 16


class Columns(NamedTuple):
    """Names of the four fields, and how many units of time make a second."""

    user: str
    item: str
    rating: str
    time: str
    per_second: int


_CLASSIC = Columns("reviewerID", "asin", "overall", "unixReviewTime", 1)
# In 2023 the item is the product; `asin` would be one of its colours or sizes, which share reviews and metadata.
COLUMNS = {2014: _CLASSIC, 2018: _CLASSIC, 2023: Columns("user_id", "parent_asin", "rating", "timestamp", 1000)}


@dataclass(frozen=True)
class Reviews:
    """Rows of a dump in its order.

    Attributes
    ----------
    users, items : (T,) int32 codes into `user_ids` and `item_ids`, which are in order of first appearance.
    ratings : (T,) float64. times : (T,) int64 unix seconds. lines : (T,) int64, line in the file.
    """

    path: Path
    users: np.ndarray
    items: np.ndarray
    ratings: np.ndarray
    times: np.ndarray
    lines: np.ndarray
    user_ids: list[str]
    item_ids: list[str]

    def __len__(self) -> int:
        return len(self.users)


class _Row(NamedTuple):
    line: int
    user: str
    item: str
    rating: float
    time: int


def read_reviews(path: Path, year: int, quarantine: Quarantine) -> Reviews:
    """Read a file of reviews; memory holds the ids and 32 bytes a row, never the texts.

    Raises
    ------
    UserError : as `read_dump`.
    """
    columns = COLUMNS[year]
    users, items, ratings, times, lines = array("i"), array("i"), array("d"), array("q"), array("q")
    user_codes: dict[str, int] = {}
    item_codes: dict[str, int] = {}
    for row in read_dump(path, lambda record: _row(record, columns), quarantine):
        users.append(user_codes.setdefault(row.user, len(user_codes)))
        items.append(item_codes.setdefault(row.item, len(item_codes)))
        ratings.append(row.rating)
        times.append(row.time)
        lines.append(row.line)
    return Reviews(
        path,
        users=np.asarray(users),
        items=np.asarray(items),
        ratings=np.asarray(ratings),
        times=np.asarray(times),
        lines=np.asarray(lines),
        user_ids=list(user_codes),
        item_ids=list(item_codes),
    )


def distinct(reviews: Reviews, rule: Duplicates) -> np.ndarray:
    """Mask (T,) of the one row that stays of each (user, item) pair.

    `first` and `last` go by time, rows of one moment by line; `max` keeps the highest rating, the last of several;
    `error` refuses.
    """
    keys = reviews.users.astype(np.int64) * max(len(reviews.item_ids), 1) + reviews.items
    within = (reviews.lines, reviews.times) + ((reviews.ratings,) if rule == "max" else ())
    order = np.lexsort((*within, keys))
    again: np.ndarray = np.zeros(len(keys), dtype=bool)  # in sorted order: the same pair stands just before
    again[1:] = keys[order][1:] == keys[order][:-1]
    if not again.any():
        return ~again
    if rule == "error":
        second = int(again.argmax())
        rows = sorted((order[second - 1], order[second]))
        user, item = reviews.user_ids[reviews.users[rows[0]]], reviews.item_ids[reviews.items[rows[0]]]
        raise UserError(
            f"user {user!r} reviews item {item!r} on lines {reviews.lines[rows[0]]} and {reviews.lines[rows[1]]} "
            f"({int(again.sum()):,} rows repeat a pair)",
            where=f"{reviews.path}:{reviews.lines[rows[1]]}",
            mend="say --duplicates last, first or max",
        )
    if rule != "first":
        again = np.append(again[1:], False)
    keep = np.ones(len(keys), dtype=bool)
    keep[order[again]] = False
    return keep


def as_tsv(reviews: Reviews, rows: np.ndarray) -> Iterator[str]:
    """The chosen rows (positions) as blocks of text: user, item, rating, unix seconds."""
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        columns = (reviews.users, reviews.items, reviews.ratings, reviews.times)
        yield "".join(
            f"{reviews.user_ids[user]}\t{reviews.item_ids[item]}\t{rating}\t{time}\n"
            for user, item, rating, time in zip(*(column[block].tolist() for column in columns), strict=True)
        )


def _row(record: Numbered, columns: Columns) -> _Row:
    values = record.values
    rating = _number(values, columns.rating)
    if not 0 <= rating <= 5:
        raise BadLine(f"{columns.rating} {rating:g} is not a number of stars from 0 to 5")
    time = int(_number(values, columns.time) // columns.per_second)
    if not _EARLIEST <= time <= _LATEST:
        unit = "milliseconds" if columns.per_second == 1000 else "seconds"
        raise BadLine(f"{columns.time} {values[columns.time]} is no time between 1990 and 2100 in unix {unit}")
    return _Row(record.line, read_id(values, columns.user), read_id(values, columns.item), rating, time)


def read_id(values: Mapping[str, Any], key: str) -> str:
    """An id: a string without white space or control characters."""
    value = values.get(key)
    if not isinstance(value, str) or not value.strip():
        raise BadLine(f"no {key}")
    value = value.strip()
    if not value.isprintable() or " " in value:
        raise BadLine(f"{key} {value[:40]!a} has white space or control characters in it")
    return value


def _number(values: Mapping[str, Any], key: str) -> float:
    value = values.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BadLine(f"{key} is missing or no number")
    if abs(value) > 2**53 or not math.isfinite(value):
        raise BadLine(f"{key} is not a finite number")
    return float(value)
