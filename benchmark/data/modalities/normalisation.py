"""Normalisation of observed features; rows that are filled later follow the scale of the normalised ones."""

from __future__ import annotations

from typing import Literal

import numpy as np

from benchmark.data.modalities.base import column_blocks, moments

Normalisation = Literal["none", "l2", "zscore"]

_ROWS = 4096  # rows normalised at a time


def normalise(kind: Normalisation, values: np.ndarray, present: np.ndarray) -> None:
    """Normalise the present rows of `values` (I, D) float32, in place; the others stay as they are.

    l2 : each row is divided by its Euclidean norm; a row of zeros stays.
    zscore : each column loses its mean and is divided by its standard deviation (divisor n), both over the present
        rows; a column with one value only becomes 0.
    """
    if kind == "l2":
        rows = np.flatnonzero(present)
        for start in range(0, len(rows), _ROWS):
            block = values[rows[start : start + _ROWS]].astype(np.float64)
            norms = np.linalg.norm(block, axis=1, keepdims=True)
            values[rows[start : start + _ROWS]] = block / np.where(norms > 0, norms, 1)
    elif kind == "zscore":
        mean, deviation = moments(values, present)
        scale = np.where(deviation > 0, deviation, 1)
        for columns in column_blocks(values):
            values[present, columns] = (values[present, columns] - mean[columns]) / scale[columns]
