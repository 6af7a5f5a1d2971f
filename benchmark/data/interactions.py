"""Reading and writing interaction files: one row a (user, item) pair, refused with its line where it makes no sense."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from workbench.errors import UserError
from workbench.files import atomic_file

COLUMNS = ("user", "item", "rating", "timestamp")
Duplicates = Literal["error", "first", "last"]


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


def read_interactions(path: str | Path, duplicates: Duplicates = "error") -> Interactions:
    """Read a tab-separated file without header: user, item, [rating, [timestamp]].

    Parameters
    ----------
    path : the file; UTF-8.
    duplicates : what to do with a (user, item) pair that stands twice: refuse, or keep its first or last row.

    Raises
    ------
    UserError : no such file, no rows, or a row that cannot be read; the message names the line.
    """
    path = Path(path)
    frame = _read_frame(path)
    users, user_ids = _codes(frame["user"])
    items, item_ids = _codes(frame["item"])
    ratings, rating_texts = np.ones(len(frame)), None
    if "rating" in frame:
        ratings = _numbers(frame["rating"], "rating", path)
        rating_texts = frame["rating"].to_numpy(dtype=object)
    timestamps = None
    if "timestamp" in frame and not (frame["timestamp"] == "").all():
        timestamps = _seconds(frame["timestamp"], path)
    interactions = Interactions(users, items, user_ids, item_ids, ratings, rating_texts, timestamps)
    return _resolve_duplicates(interactions, frame.index.to_numpy() + 1, duplicates, path)


def write_interactions(path: Path, interactions: Interactions, users: np.ndarray, items: np.ndarray) -> None:
    """Write rows as `read_interactions` reads them, with the given ids (T,) in the first two columns."""
    columns: dict[str, np.ndarray] = {"user": users, "item": items}
    if interactions.rating_texts is not None:
        columns["rating"] = interactions.rating_texts
    if interactions.timestamps is not None:
        columns["timestamp"] = interactions.timestamps
    with atomic_file(path) as temporary:
        pd.DataFrame(columns).to_csv(temporary, sep="\t", header=False, index=False, quoting=3, encoding="utf-8")


def _read_frame(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise UserError("no such interaction file", where=path, mend="put a TSV there: user, item, rating, timestamp")
    if path.stat().st_size == 0:
        raise UserError("the file is empty", where=path, mend="put a row for each user and item there")
    try:
        with path.open(encoding="utf-8-sig") as stream:
            width = len(stream.readline().rstrip("\r\n").split("\t"))
        if not 2 <= width <= len(COLUMNS):
            raise UserError(
                f"{width} tab-separated columns where 2 to 4 are expected (user, item, rating, timestamp)",
                where=f"{path}:1",
                mend="separate the columns by tabs, without a header",
            )
        frame = pd.read_csv(
            path,
            sep="\t",
            header=None,
            names=list(COLUMNS[:width]),
            index_col=False,
            dtype=str,
            quoting=3,
            na_filter=False,
            skip_blank_lines=False,
            encoding="utf-8-sig",
            low_memory=False,
        )
    except UnicodeDecodeError as error:
        where = f"{path}:{_first_undecodable(path)}"
        raise UserError(f"not UTF-8 text: {error.reason}", where=where, mend="save the file as UTF-8") from error
    except pd.errors.EmptyDataError as error:
        raise UserError("the file is empty", where=path) from error
    except pd.errors.ParserError as error:
        found = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
        where = f"{path}:{found[2]}" if found else str(path)
        what = f"{found[3]} columns where the first line has {found[1]}" if found else str(error)
        raise UserError(what, where=where, mend="mend or remove that line") from error
    missing = np.column_stack([(frame[name] == "").to_numpy() for name in frame.columns])
    blank = missing.all(axis=1)
    required = [position for position, name in enumerate(frame.columns) if name != "timestamp"]
    broken = missing[:, required].any(axis=1) & ~blank
    if broken.any():
        row = int(broken.argmax())
        name = frame.columns[required[int(missing[row, required].argmax())]]
        raise UserError(
            f"no {name} in this row ({int(broken.sum())} such rows in all)",
            where=f"{path}:{row + 1}",
            mend="complete or remove the row",
        )
    frame = frame.loc[np.flatnonzero(~blank)]
    if frame.empty:
        raise UserError("the file holds no interactions", where=path)
    return frame


def _first_undecodable(path: Path) -> int:
    """Number of the first line that is not UTF-8."""
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return 1


def _codes(column: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Codes (T,) and the ids that they stand for, in ascending order."""
    codes, uniques = pd.factorize(column)
    ids = uniques.to_numpy(dtype=object)
    order = np.argsort(ids, kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return rank[codes], ids[order]


def _numbers(column: pd.Series, name: str, path: Path) -> np.ndarray:
    codes, texts = pd.factorize(column)
    values = pd.to_numeric(texts.to_numpy(dtype=object), errors="coerce").astype(np.float64)
    wrong = ~np.isfinite(values)[codes]
    if wrong.any():
        row = int(wrong.argmax())
        line = int(column.index[row]) + 1
        header = "; is it a header? Files of interactions have none" if line == 1 else ""
        raise UserError(
            f"the {name} {texts[codes[row]]!r} is not a number{header} ({int(wrong.sum())} such rows in all)",
            where=f"{path}:{line}",
            mend="mend or remove the row",
        )
    return values[codes]


def _seconds(column: pd.Series, path: Path) -> np.ndarray:
    """Unix seconds (T,) int64; fractions of a second are cut off."""
    values = _numbers(column, "timestamp", path)
    wrong = np.abs(values) >= 2**53
    if wrong.any():
        row = int(wrong.argmax())
        raise UserError(
            f"the timestamp {column.iloc[row]!r} is out of range ({int(wrong.sum())} such rows in all)",
            where=f"{path}:{int(column.index[row]) + 1}",
            mend="give unix seconds",
        )
    return values.astype(np.int64)


def _resolve_duplicates(data: Interactions, lines: np.ndarray, rule: Duplicates, path: Path) -> Interactions:
    keys = data.users * len(data.item_ids) + data.items
    order = np.argsort(keys, kind="stable")
    again: np.ndarray = np.zeros(len(keys), dtype=bool)  # in sorted order: the same pair stands just before
    again[1:] = keys[order][1:] == keys[order][:-1]
    if not again.any():
        return data
    if rule == "error":
        second = int(again.argmax())
        rows = order[second - 1], order[second]
        user, item = data.user_ids[data.users[rows[0]]], data.item_ids[data.items[rows[0]]]
        raise UserError(
            f"user {user!r} and item {item!r} stand together on lines {lines[rows[0]]} and {lines[rows[1]]} "
            f"({int(again.sum())} rows repeat a pair)",
            where=f"{path}:{lines[rows[1]]}",
            mend="remove one, or say `duplicates: first` (or last) below experiment.data_config in the YAML file",
        )
    if rule == "last":
        again = np.append(again[1:], False)
    keep = np.ones(len(keys), dtype=bool)
    keep[order[again]] = False
    return data.select(keep)
