"""What a reader of one table hands on: columns in file order, each text kept once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Texts:
    """A column of texts.

    Attributes
    ----------
    codes : (T,) int64, places in `values`.
    values : (N,) the different texts, str objects, each with at least one row.
    """

    codes: np.ndarray
    values: np.ndarray


class Coder:
    """Collects a column block by block; memory holds one small integer a row, and each text once a block."""

    def __init__(self) -> None:
        self._codes: list[np.ndarray] = []
        self._values: list[np.ndarray] = []

    def add(self, codes: np.ndarray, values: Sequence[str] | np.ndarray) -> None:
        """Rows of one block: places (B,) in that block's own `values`; values that no row has are not kept."""
        used = np.flatnonzero(np.bincount(codes, minlength=len(values)))
        place = np.zeros(len(values), dtype=np.int32)
        place[used] = np.arange(len(used))
        texts = np.empty(len(values), dtype=object)
        texts[:] = values
        self._codes.append(place[codes])
        self._values.append(texts[used])

    def finish(self) -> Texts:
        """The whole column, texts in the order of their first block."""
        known, values = pd.factorize(np.concatenate([np.empty(0, dtype=object), *self._values]))
        codes = np.empty(sum(map(len, self._codes)), dtype=np.int64)
        row = first = 0
        for block, texts in zip(self._codes, self._values, strict=True):
            codes[row : row + len(block)] = known[first : first + len(texts)][block]
            row, first = row + len(block), first + len(texts)
        self._codes.clear()
        self._values.clear()
        return Texts(codes, np.asarray(values, dtype=object))


def coded_numbers(numbers: np.ndarray) -> Texts:
    """Numbers (T,) float64 as the shortest texts that read back as the same numbers."""
    different, codes = np.unique(numbers, return_inverse=True)
    return Texts(codes.astype(np.int64), np.array([repr(float(value)) for value in different], dtype=object))


@dataclass(frozen=True)
class Rows:
    """A table of interactions as it stands in the file.

    Attributes
    ----------
    users, items : the raw ids.
    ratings : None where the table has none.
    timestamps : texts, or (T,) float64 unix seconds, or None where the table has none.
    labels : MMRec's `x_label`, or None.
    line : the place of row t (from 0) in the file, for messages: a line of a text, a row of a binary table.
    """

    users: Texts
    items: Texts
    ratings: Texts | None
    timestamps: Texts | np.ndarray | None
    labels: Texts | None
    line: Callable[[int], int]

    def __len__(self) -> int:
        return len(self.users.codes)
