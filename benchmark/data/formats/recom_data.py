"""Align-MacridVAE's data folder, `RecomData/<name>-<image>_<text>`: three parts, two lists of ids, two matrices.

train.txt, validation.txt, test.txt   CSV with the header user,item: numbers from 0, a row an interaction
users.txt, items.txt                  CSV with a header: original id, number; every number from 0 once
embed_image.npy, embed_text.npy       (I, D), row = item number; a row of zeros is no feature, and a matrix of zeros
                                      stands for a modality that is not there (the variants called `none`)
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmark.data.formats.layout import Columns, Layout
from benchmark.data.formats.rows import Rows, Texts
from benchmark.data.formats.text import check_file, open_bytes
from benchmark.data.interactions import Interactions, announce, interactions_of, read_rows, resolve_duplicates
from benchmark.data.modalities.sources import Matrix, open_source
from benchmark.data.splitters import Parts
from workbench.errors import UserError
from workbench.features import FeatureTable

USERS, ITEMS = "users.txt", "items.txt"
PARTS = {"train": "train.txt", "validation": "validation.txt", "test": "test.txt"}
MATRICES = {"visual": "embed_image.npy", "textual": "embed_text.npy"}
_LAYOUT = Layout("csv", Columns("user", "item"), ",")
_BLOCK = 4096  # rows looked at at a time


def read_recom_data(folder: Path) -> Parts:
    """The split under the original ids; a pair that stands twice in a part counts once.

    Raises
    ------
    UserError : a file that is missing or cannot be read, or a number that is not in the list of ids.
    """
    needed = [USERS, ITEMS, *PARTS.values()]
    for name in needed:
        if not (folder / name).is_file():
            raise UserError("no such file", where=folder / name, mend=f"give the whole folder: {', '.join(needed)}")
    users, items = read_ids(folder / USERS), read_ids(folder / ITEMS)
    parts = {part: _read_part(folder / name, users, items) for part, name in PARTS.items()}
    return Parts(**parts, items=np.array(items, dtype=object))


def read_ids(path: Path) -> list[str]:
    """Original ids in the order of their numbers.

    Raises
    ------
    UserError : no such file, a line that is not two cells, an id or a number that stands twice, or a number left out.
    """
    numbers: dict[str, int] = {}
    line_of: dict[int, int] = {}
    for line, cells in _lines(path):
        where = f"{path}:{line}"
        if len(cells) != 2 or not cells[0] or not re.fullmatch("[0-9]{1,18}", cells[1]):
            raise UserError("an id and its number are expected in a line", where=where, mend="mend the line")
        number = int(cells[1])
        if cells[0] in numbers or number in line_of:
            raise UserError("an id or a number stands twice", where=where, mend="remove one of the lines")
        numbers[cells[0]], line_of[number] = number, line
    if not numbers:
        raise UserError("no id below the header", where=path, mend="write the header and a line for each id")
    largest = max(line_of)
    if largest != len(numbers) - 1:
        raise UserError(
            f"the number {largest} in a list of {len(numbers)}, whose numbers should be 0 to {len(numbers) - 1}",
            where=f"{path}:{line_of[largest]}",
            mend="number the ids from 0 without gaps, below a header",
        )
    return sorted(numbers, key=numbers.__getitem__)


def open_features(path: Path) -> Matrix:
    """A matrix of the folder by original item id, without its rows of zeros.

    Raises
    ------
    UserError : no plain matrix of floats, another number of rows than there are items, or nothing but zeros.
    """
    items, matrix = read_ids(path.parent / ITEMS), open_source(path).table.matrix
    if len(matrix) != len(items):
        raise UserError(
            f"{len(matrix)} rows, and {ITEMS} has {len(items)} items", where=path, mend="give a row for each item"
        )
    given: np.ndarray = np.asarray(matrix.any(axis=1))  # NaN counts, and is refused where it is read
    if not given.any():
        raise UserError(
            "every row is zeros: this modality is not there", where=path, mend="remove its loader, or give features"
        )
    names = [item if there else None for item, there in zip(items, given.tolist(), strict=True)]
    return Matrix(FeatureTable(path, names, matrix, {}), numbered=False)


def is_blank(path: Path) -> bool:
    """Whether a matrix holds nothing but zeros; it is read up to the first number that is none.

    Raises
    ------
    UserError : no plain matrix of floats.
    """
    matrix = open_source(path).table.matrix
    return not any(matrix[start : start + _BLOCK].any() for start in range(0, len(matrix), _BLOCK))


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of every line below the header that is not empty."""
    check_file(path)
    with open_bytes(path) as stream:
        rows = csv.reader(io.TextIOWrapper(stream, "utf-8-sig", newline=""))
        try:
            next(rows, None)
            yield from ((rows.line_num, cells) for cells in rows if cells)
        except csv.Error as error:
            raise UserError(f"not readable as CSV: {error}", where=f"{path}:{rows.line_num}", mend="mend it") from error


def _read_part(path: Path, users: list[str], items: list[str]) -> Interactions:
    rows = read_rows(path, _LAYOUT)
    rows = replace(
        rows,
        users=_restored(rows.users, users, "user", rows, path),
        items=_restored(rows.items, items, "item", rows, path),
    )
    data, repeated = resolve_duplicates(interactions_of(rows, path), rows, "first", path)
    announce(path, data, repeated, "first")
    return data


def _restored(numbers: Texts, ids: list[str], role: str, rows: Rows, path: Path) -> Texts:
    raw = {str(number): identifier for number, identifier in enumerate(ids)}
    strange = np.array([text not in raw for text in numbers.values])
    if strange.any():
        wrong = strange[numbers.codes]
        row = int(wrong.argmax())
        raise UserError(
            f"the {role} {numbers.values[numbers.codes[row]]!r} is no whole number from 0 to {len(ids) - 1}, those of "
            f"{role}s.txt ({int(wrong.sum())} such rows in all)",
            where=f"{path}:{rows.line(row)}",
            mend="mend the row, or complete the list",
        )
    values = np.empty(len(numbers.values), dtype=object)
    values[:] = [raw[text] for text in numbers.values]
    return Texts(numbers.codes, values)
