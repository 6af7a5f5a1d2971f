"""Where features lie: a feature table, a folder of `.npy` files, or one matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from loguru import logger

from workbench.errors import UserError
from workbench.features import FeatureTable, manifest_path, open_table


class Source(Protocol):
    """Something that has feature rows for items."""

    @property
    def path(self) -> Path:
        """Where it lies, for messages."""

    def gather(self, items: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Rows (len(items), D), float32, zero where there is none, and a mask (len(items),) of those that are there."""

    def has(self, items: Sequence[str]) -> np.ndarray:
        """The mask of `gather` alone, (len(items),) bool."""


@dataclass(frozen=True)
class Rows:
    """A feature table or a folder, row = item."""

    table: FeatureTable

    @property
    def path(self) -> Path:
        return self.table.path

    def gather(self, items: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        return self.table.gather(items)

    def has(self, items: Sequence[str]) -> np.ndarray:
        return self._rows(items) >= 0

    def _rows(self, items: Sequence[str]) -> np.ndarray:
        row_of = self.table.row_of
        return np.fromiter((row_of.get(item, -1) for item in items), dtype=np.int64, count=len(items))


@dataclass(frozen=True)
class Matrix(Rows):
    """A matrix without a manifest; `numbered` where its rows are item numbers, otherwise a list of ids names them."""

    numbered: bool

    def gather(self, items: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        if self.numbered:
            self._check_numbers(items)
        rows = self._rows(items)
        present = rows >= 0
        values = np.zeros((len(items), self.table.dim), dtype=np.float32)
        with np.errstate(over="ignore"):  # a double that is no float32 becomes infinite, and is refused below
            values[present] = self.table.matrix[rows[present]]
        bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
        if len(bad):
            raise UserError(
                f"row {rows[bad[0]]} (from 0), item {items[bad[0]]!r}, has NaN, infinite or too large features "
                f"({len(bad)} items in all)",
                where=self.path,
                mend="mend those rows; or leave them out and name the items of the others in a file, `ids:`",
            )
        empty = int((present & ~values.any(axis=1)).sum())
        if empty:
            logger.warning("{}: the rows of {} items are all zeros, and count as features", self.path, empty)
        return values, present

    def _check_numbers(self, items: Sequence[str]) -> None:
        strange = next((item for item in items if not _is_number(item)), None)
        if strange is not None:
            raise UserError(
                f"rows of this matrix are item numbers, and the item {strange!r} is none",
                where=self.path,
                mend="name the item of every row, one id a line, in a file, and give it as `ids:`",
            )
        largest = max(map(int, items))
        count = len(self.table.matrix)
        if largest >= count:
            raise UserError(
                f"the matrix has {count} rows and the largest item number is {largest}, which needs {largest + 1}",
                where=self.path,
                mend="give the matrix of this data set, with row = item number; or name its items with `ids:`",
            )
        if largest < count - 1:
            logger.warning(
                "{}: {} rows, and the largest item number is {}; make sure that it is this data set's matrix",
                self.path, count, largest,
            )  # fmt: skip


def open_source(path: Path, ids: Path | None = None, verify: bool = True) -> Rows:
    """Open a feature table by its folder, a folder of `.npy` files, or a matrix by its file name (`.npy`).

    A matrix that lies beside its manifest is the table. Any other has one row an item: row n is item n, or the item on
    line n of `ids` (from 0).

    Raises
    ------
    UserError : nothing of that kind there, or it cannot be read.
    """
    if path.suffix != ".npy" or path.is_dir():
        return Rows(open_table(path, verify))
    if ids is None and manifest_path(path.with_suffix("")).is_file():
        return Rows(open_table(path.with_suffix(""), verify))
    matrix = _read_matrix(path)
    if ids is None:
        return Matrix(FeatureTable(path, [str(row) for row in range(len(matrix))], matrix, {}), numbered=True)
    names = _read_ids(ids)
    if len(names) != len(matrix):
        raise UserError(
            f"{len(names)} ids for the {len(matrix)} rows of {path}", where=ids, mend="give one id a line, a line a row"
        )
    return Matrix(FeatureTable(path, names, matrix, {}), numbered=False)


def _is_number(item: str) -> bool:
    return item.isascii() and item.isdecimal() and (item == "0" or item[0] != "0") and len(item) < 19


def _read_matrix(path: Path) -> np.ndarray:
    if not path.is_file():
        near = sorted(entry.name for entry in path.parent.glob("*.npy"))[:6] if path.parent.is_dir() else []
        raise UserError(
            "no feature matrix there", where=path, mend=f"in {path.parent} there are: {', '.join(near) or 'none'}"
        )
    try:
        matrix = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise UserError(
            f"not readable as a matrix: {error}", where=path, mend="write it again with numpy.save"
        ) from error
    if not isinstance(matrix, np.ndarray):
        raise UserError("an archive of arrays", where=path, mend="write the one matrix with numpy.save")
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise UserError(f"shape {matrix.shape} where (items, D) is expected", where=path, mend="one row an item")
    if matrix.dtype.kind != "f" or matrix.dtype.itemsize > 8:
        raise UserError(
            f"values of type {matrix.dtype}", where=path, mend="write float16, float32 or float64 (astype('float32'))"
        )
    return matrix


def _read_ids(path: Path) -> list[str]:
    if not path.is_file():
        raise UserError("no such file of ids", where=path, mend="write one item id a line, in the order of the rows")
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise UserError(f"not UTF-8 text: {error.reason}", where=path, mend="save the file as UTF-8") from error
    names = [line.removesuffix("\r") for line in lines]
    if names[-1] == "":
        names.pop()
    first: dict[str, int] = {}
    for number, name in enumerate(names, start=1):
        if not name:
            raise UserError("an empty line", where=f"{path}:{number}", mend="give every row an id")
        if first.setdefault(name, number) != number:
            raise UserError(
                f"the id {name!r} stands on line {first[name]} already",
                where=f"{path}:{number}",
                mend="give every item one row",
            )
    return names
