"""TSV, CSV and their kin: one pass of pandas' C parser, block by block."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.data.formats.headers import WHITESPACE, Dialect
from benchmark.data.formats.rows import Coder, Rows
from benchmark.data.formats.text import line_of_record, open_bytes
from workbench.errors import UserError

BLOCK = 1 << 20  # rows parsed at a time: bounds what the parser holds besides the integer columns


def read_delimited(path: Path, dialect: Dialect) -> Rows:
    """Read a delimited file.

    Timestamps are parsed as numbers at once. Where that fails (a blank line, a text), the file is read a second time
    with timestamps as texts, so that the message can show what stands there.

    Raises
    ------
    UserError : a row with too many columns, without user, item or rating, not UTF-8, or nothing at all.
    """
    try:
        return _read(path, dialect, timestamps_as=np.float64)
    except _NotNumbers:
        return _read(path, dialect, timestamps_as=object)


class _NotNumbers(Exception):
    """Some timestamp is no finite number."""


def _read(path: Path, dialect: Dialect, timestamps_as: Any) -> Rows:
    reading = _Reading(path, dialect)
    roles = {place: role for role, place in dialect.places.items()}
    kinds = {"timestamp": timestamps_as}
    # a column that nobody reads is cut to one byte: the parser still counts it, which it does not with `usecols`
    dtypes = {place: kinds.get(roles[place], object) if place in roles else "S1" for place in range(dialect.width)}
    options: dict[str, Any] = {
        "sep": dialect.separator,
        "header": None,
        "names": list(range(dialect.width)),
        "skiprows": 1 if dialect.header else 0,
        "index_col": False,
        "dtype": dtypes,
        "quoting": 0 if dialect.quoted else 3,
        "na_filter": False,
        "skip_blank_lines": False,
        "encoding": "utf-8-sig",
        "chunksize": BLOCK,
    }
    with open_bytes(path) as stream, warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # a first row that is too long would lose its end
        try:
            for block in pd.read_csv(stream, **options):
                reading.add(block)
        except pd.errors.EmptyDataError:
            pass
        except pd.errors.ParserWarning as error:
            raise UserError(
                f"more than the {dialect.width} columns of the first line",
                where=f"{path}:{1 + dialect.header}",
                mend="mend or remove that line",
            ) from error
        except pd.errors.ParserError as error:
            raise _explained(error, path, dialect) from error
        except UnicodeDecodeError:
            raise
        except ValueError as error:
            if timestamps_as is object:
                raise UserError(f"not readable: {error}", where=path) from error
            raise _NotNumbers from error
    return reading.finish()


class _Reading:
    """Columns as they grow."""

    def __init__(self, path: Path, dialect: Dialect) -> None:
        self._path, self._dialect = path, dialect
        self._coders = {role: Coder() for role in dialect.places}
        self._times: list[np.ndarray] = []
        self._blank: list[np.ndarray] = []
        self._count = 0
        self._broken: list[tuple[int, str]] = []
        self._n_broken = 0

    def add(self, block: pd.DataFrame) -> None:
        """Take the rows of one block, without blank lines."""
        columns = {role: block[place].to_numpy() for role, place in self._dialect.places.items()}
        coded = {role: pd.factorize(column) for role, column in columns.items() if column.dtype == object}
        empty = {
            role: codes == int((values == "").argmax())
            for role, (codes, values) in coded.items()
            if (values == "").any()
        }
        kept: Any = slice(None)
        if empty:
            blank = self._blank_lines(block)
            self._note_broken(empty, blank)
            self._blank.append(self._count + np.flatnonzero(blank))
            kept = ~blank
        for role, (codes, values) in coded.items():
            self._coders[role].add(codes[kept], values)
        if "timestamp" in columns and "timestamp" not in coded:
            if not np.isfinite(columns["timestamp"]).all():
                raise _NotNumbers
            self._times.append(columns["timestamp"])
        self._count += len(block)

    def finish(self) -> Rows:
        """All rows.

        Raises
        ------
        UserError : some row lacks a field; the first is named, all are counted.
        """
        if self._broken:
            row, role = self._broken[0]
            raise UserError(
                f"no {role} in this row ({self._n_broken} such rows in all)",
                where=f"{self._path}:{self._record_line(row)}",
                mend="complete or remove the row",
            )
        texts = {role: coder.finish() for role, coder in self._coders.items()}
        timestamps = np.concatenate(self._times) if self._times else texts.get("timestamp")
        rows = Rows(texts["user"], texts["item"], texts.get("rating"), timestamps, texts.get("label"), self._line)
        if len(rows) == 0:
            raise UserError("the file holds no interactions", where=self._path)
        return rows

    def _blank_lines(self, block: pd.DataFrame) -> np.ndarray:
        """(B,) bool, true where every field is empty."""
        columns = [block[place].to_numpy() for place in range(self._dialect.width)]
        return np.logical_and.reduce(
            [column == ("" if column.dtype == object else b"") for column in columns if column.dtype != np.float64]
        )

    def _note_broken(self, empty: dict[str, np.ndarray], blank: np.ndarray) -> None:
        required = [role for role in ("user", "item", "rating", "label") if role in empty]
        if not required:
            return
        missing = np.column_stack([empty[role] for role in required]) & ~blank[:, None]
        broken = missing.any(axis=1)
        if broken.any():
            row = int(broken.argmax())
            self._broken.append((self._count + row, required[int(missing[row].argmax())]))
            self._n_broken += int(broken.sum())

    def _line(self, row: int) -> int:
        """Line of a kept row, blank lines counted."""
        blank = np.concatenate([np.empty(0, dtype=np.int64), *self._blank])
        return self._record_line(int(np.delete(np.arange(self._count), blank)[row]))

    def _record_line(self, record: int) -> int:
        record += self._dialect.header
        if self._dialect.quoted:
            return line_of_record(self._path, self._dialect.separator, record)
        return record + 1


def _explained(error: pd.errors.ParserError, path: Path, dialect: Dialect) -> UserError:
    found = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
    if found:
        what = f"{found[3]} columns where the first line has {found[1]}"
        return UserError(what, where=f"{path}:{found[2]}", mend="mend or remove that line")
    found = re.search(r"EOF inside string starting at row (\d+)", str(error))
    if found and dialect.separator != WHITESPACE:
        line = line_of_record(path, dialect.separator, int(found[1]))
        return UserError("a quotation mark is opened and never closed", where=f"{path}:{line}", mend="close it")
    return UserError(str(error), where=path, mend="mend or remove that line")
