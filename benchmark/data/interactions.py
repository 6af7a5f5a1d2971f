"""Reading and writing interaction files: one row a (user, item) pair, refused with its line where it makes no sense."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from loguru import logger

from benchmark.data.formats.adjacency import read_adjacency
from benchmark.data.formats.delimited import read_delimited
from benchmark.data.formats.headers import dialect_of
from benchmark.data.formats.layout import Layout, recognise
from benchmark.data.formats.parquet import read_parquet
from benchmark.data.formats.rows import Rows, Texts
from benchmark.data.formats.text import check_file, plain_suffix
from benchmark.data.formats.tuples import read_tuples
from workbench.errors import UserError
from workbench.files import atomic_file

Duplicates = Literal["error", "first", "last", "max"]
_UNWRITABLE = re.compile("[\t\r\n\0\ud800-\udfff]|^\ufeff|^$")  # no cell of a UTF-8 TSV can hold these


@dataclass(frozen=True)
class Interactions:
    """Rows of an interaction file in file order, ids as integer codes.

    Attributes
    ----------
    users, items : (T,) int64 codes into `user_ids` and `item_ids`.
    user_ids, item_ids : the raw ids, strings, in ascending (lexicographic) order.
    ratings : (T,) float64; 1 where the file has no ratings.
    rating_texts : (T,) the ratings as they stand in the file, or None without ratings.
    timestamps : (T,) int64 unix seconds, or None.
    """

    users: np.ndarray
    items: np.ndarray
    user_ids: np.ndarray
    item_ids: np.ndarray
    ratings: np.ndarray
    rating_texts: np.ndarray | None
    timestamps: np.ndarray | None

    def __len__(self) -> int:
        return len(self.users)

    def select(self, rows: np.ndarray) -> Interactions:
        """The rows under a boolean mask or at given positions; ids stay as they are."""
        return replace(
            self,
            users=self.users[rows],
            items=self.items[rows],
            ratings=self.ratings[rows],
            rating_texts=None if self.rating_texts is None else self.rating_texts[rows],
            timestamps=None if self.timestamps is None else self.timestamps[rows],
        )


def read_interactions(path: str | Path, duplicates: Duplicates = "error", layout: Layout | None = None) -> Interactions:
    """Read one table of interactions; by default a TSV without header: user, item, [rating, [timestamp]].

    Parameters
    ----------
    path : the file; text is UTF-8, plain or gzipped.
    duplicates : what to do with a (user, item) pair that stands twice: refuse, or keep its first or last row, or the
        row with its highest rating (`max`; the first among equals). Kept rows stay in file order.
    layout : format, columns and separator; what it leaves open is told by the suffix and by a header that leaves no
        doubt (RecBole's, MMRec's).

    Raises
    ------
    UserError : no such file, no rows, or a row that cannot be read; the message names the line.
    """
    path = Path(path)
    rows = read_rows(path, layout or Layout())
    data, repeated = resolve_duplicates(interactions_of(rows, path), rows, duplicates, path)
    announce(path, data, repeated, duplicates)
    return data


def read_rows(path: Path, layout: Layout) -> Rows:
    """One table as it stands in the file."""
    check_file(path)
    form = recognise(path, layout)
    suffix = plain_suffix(path)
    if form == "parquet":
        return read_parquet(path, layout)
    if form == "adjacency":
        return read_adjacency(path)
    if form == "cornac" and suffix in (".npy", ".json"):
        return read_tuples(path, suffix)
    return read_delimited(path, dialect_of(path, layout, form))


def interactions_of(rows: Rows, path: Path) -> Interactions:
    """Rows with ids in ascending order, ratings as numbers and times in seconds; `path` is for messages.

    Raises
    ------
    UserError : an id that no TSV can hold, a rating or a timestamp that is no finite number, or is out of range.
    """
    users, user_ids = _sorted_ids(rows.users, "user", rows, path)
    items, item_ids = _sorted_ids(rows.items, "item", rows, path)
    ratings, rating_texts = np.ones(len(rows)), None
    if rows.ratings is not None:
        ratings = _numbers(rows.ratings, "rating", rows, path)
        _refuse_beyond_single(ratings, rows, path)
        rating_texts = rows.ratings.values[rows.ratings.codes]
    return Interactions(users, items, user_ids, item_ids, ratings, rating_texts, _seconds(rows, path))


def resolve_duplicates(
    data: Interactions, rows: Rows, rule: Duplicates, path: Path, places: np.ndarray | None = None
) -> tuple[Interactions, int]:
    """Keep one row of each pair by a rule; also returns how many rows were dropped.

    `places` (T,) names the row of `rows` behind each row of `data`, for messages; default: the same.

    Raises
    ------
    UserError : the rule is `error` and some pair stands twice.
    """
    keys = data.users * len(data.item_ids) + data.items
    ordered = np.sort(keys)
    repeated = int((ordered[1:] == ordered[:-1]).sum())
    del ordered
    if not repeated:
        return data, 0
    # stable: rows of a pair stay in file order, and so do equally rated ones
    order = np.lexsort((-data.ratings, keys)) if rule == "max" else np.argsort(keys, kind="stable")
    again: np.ndarray = np.zeros(len(keys), dtype=bool)  # in sorted order: the same pair stands just before
    again[1:] = keys[order][1:] == keys[order][:-1]
    if rule == "error":
        second = int(again.argmax())
        pair = order[[second - 1, second]]
        user, item = data.user_ids[data.users[pair[0]]], data.item_ids[data.items[pair[0]]]
        lines = [rows.line(int(row if places is None else places[row])) for row in pair]
        raise UserError(
            f"user {user!r} and item {item!r} stand together on lines {lines[0]} and {lines[1]} "
            f"({repeated} rows repeat a pair)",
            where=f"{path}:{lines[1]}",
            mend="remove one, or say `duplicates: first` (or last, or max) below experiment.data_config",
        )
    if rule == "last":
        again = np.append(again[1:], False)
    keep = np.ones(len(keys), dtype=bool)
    keep[order[again]] = False
    return data.select(keep), repeated


def announce(name: object, data: Interactions, repeated: int, rule: Duplicates) -> None:
    """One log line: rows, users, items, what was dropped by which rule, range of ratings, span of time."""
    counts = [f"{len(data):,} rows", f"{_used(data.users):,} users", f"{_used(data.items):,} items"]
    if repeated:
        counts.append(f"{repeated:,} rows of doubled pairs dropped (kept: {rule})")
    if data.rating_texts is not None:
        counts.append(f"ratings {data.ratings.min():g} to {data.ratings.max():g}")
    if data.timestamps is not None:
        first, last = (np.datetime64(int(time), "s") for time in (data.timestamps.min(), data.timestamps.max()))
        counts.append(f"{first.astype('datetime64[D]')} to {last.astype('datetime64[D]')}")
    logger.info("{}: {}", os.path.normpath(str(name)), ", ".join(counts))


def write_interactions(path: Path, interactions: Interactions, users: np.ndarray, items: np.ndarray) -> None:
    """Write rows as `read_interactions` reads them, with the given ids (T,) in the first two columns."""
    columns: dict[str, np.ndarray] = {"user": users, "item": items}
    if interactions.rating_texts is not None:
        columns["rating"] = interactions.rating_texts
    elif interactions.timestamps is not None:
        columns["rating"] = np.ones(len(interactions), dtype=np.int64)  # the third column is the rating
    if interactions.timestamps is not None:
        columns["timestamp"] = interactions.timestamps
    with atomic_file(path) as temporary:
        pd.DataFrame(columns).to_csv(temporary, sep="\t", header=False, index=False, quoting=3, encoding="utf-8")


def _used(codes: np.ndarray) -> int:
    return int(np.count_nonzero(np.bincount(codes)))


def _sorted_ids(texts: Texts, role: str, rows: Rows, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Codes (T,) and the ids that they stand for, in ascending order."""
    for place, identifier in enumerate(texts.values):
        if _UNWRITABLE.search(identifier):
            line = rows.line(int((texts.codes == place).argmax()))
            raise UserError(
                f"the {role} {identifier!r} holds a tab, a line end or another character that no TSV can hold",
                where=f"{path}:{line}",
                mend="rename it: the parts of a split are TSV files",
            )
    order = np.argsort(texts.values, kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank[texts.codes], texts.values[order]


def _numbers(texts: Texts, name: str, rows: Rows, path: Path) -> np.ndarray:
    values = pd.to_numeric(texts.values, errors="coerce").astype(np.float64)
    wrong = ~np.isfinite(values)[texts.codes]
    if wrong.any():
        row = int(wrong.argmax())
        line, found, count = rows.line(row), texts.values[texts.codes[row]], int(wrong.sum())
        header = "; is it a header? Then say which `columns` the file has" if line == 1 else ""
        raise UserError(
            f"the {name} {found!r} is not a number{header} ({count} such rows in all)",
            where=f"{path}:{line}",
            mend="mend or remove the row",
        )
    return values[texts.codes]


def _refuse_beyond_single(ratings: np.ndarray, rows: Rows, path: Path) -> None:
    """Ratings are float32 from the data set on."""
    most = np.finfo(np.float32).max
    wrong = np.abs(ratings) > most
    if wrong.any():
        row = int(wrong.argmax())
        raise UserError(
            f"the rating {ratings[row]:g} is out of range ({int(wrong.sum())} such rows in all)",
            where=f"{path}:{rows.line(row)}",
            mend=f"give ratings from {-most:.1e} to {most:.1e}",
        )


def _seconds(rows: Rows, path: Path) -> np.ndarray | None:
    """Unix seconds (T,) int64; fractions of a second are cut off. None where there are none."""
    given = rows.timestamps
    if given is None or (isinstance(given, Texts) and given.values.tolist() == [""]):
        return None
    values = _numbers(given, "timestamp", rows, path) if isinstance(given, Texts) else given
    wrong = ~(np.abs(values) < 2**53)
    if wrong.any():
        row = int(wrong.argmax())
        raise UserError(
            f"the timestamp {values[row]:g} is out of range ({int(wrong.sum())} such rows in all)",
            where=f"{path}:{rows.line(row)}",
            mend="give unix seconds",
        )
    return values.astype(np.int64)
