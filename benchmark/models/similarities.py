"""Similarity of the rows of a sparse binary matrix: users by their items, or items by their users.

Rows x, y are weighted first (w_xd for the entry of row x in column d; N rows that are not empty; n_d of them have d):

    none     w = 1
    tf-idf   w = ln(N / (1 + n_d))
    bm25     w = ln(N / (1 + n_d)) (K + 1) / (K (1 - B + B |x| / mean |x|) + 1)      K = 1.2, B = 0.75

(Salton and Buckley, 1988; Robertson et al., TREC 1994; for recommenders: Wang et al., SIGIR 2008), and then compared:

    cosine    x.y / (sqrt(x.x y.y) + shrink)
    adjusted  cosine of x - m and y - m, m_d = mean of column d over the N rows
    jaccard   x.y / (x.x + y.y - x.y + shrink)      on binary rows the ratio of intersection and union
    dice      x.y / ((x.x + y.y) / 2 + shrink)
    dot       x.y

The adjusted cosine (Sarwar et al., WWW 2001) subtracts a mean of ratings. Where every rating is 1, the mean of what was
rated leaves nothing, so what was not rated counts as an observed 0, in the means and in the products alike.

Rows are neighbours only if x.y is not 0, so that they have a column in common, and their similarity is positive.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import NonNegativeFloat, PositiveInt, model_validator
from scipy.sparse import csr_array

from benchmark.models.base import Params
from benchmark.models.profiles import blocks, forget_self, largest, row_numbers, stacked

_K, _B = 1.2, 0.75  # of BM25

# keys of published files that change nothing in either model
WITHOUT_EFFECT = {
    "seed": "nothing is drawn",
    "implicit": "interactions are binary for every model",
    "implementation": "there is one: sparse, in blocks",
}


class NeighbourParams(Params):
    """neighbors: kept of each row. similarity, weighting, shrink: see the module."""

    neighbors: PositiveInt = 40
    similarity: Literal["cosine", "adjusted", "jaccard", "dice", "dot"] = "cosine"
    weighting: Literal["none", "tf-idf", "bm25"] = "none"
    shrink: NonNegativeFloat = 0.0

    @model_validator(mode="after")
    def _fit_together(self) -> NeighbourParams:
        if self.shrink and self.similarity == "dot":
            raise ValueError("`shrink` belongs to a denominator, and `similarity: dot` has none")
        return self


class Neighbourhood:
    """The rows (N, D) of a binary matrix, and those of them that are nearest to given rows."""

    def __init__(self, rows: csr_array, params: NeighbourParams) -> None:
        self._params = params
        lengths = np.diff(rows.indptr)
        self._n_filled = max(1, int(np.count_nonzero(lengths)))
        self._mean_length = lengths.sum() / self._n_filled
        counts = np.bincount(rows.indices, minlength=rows.shape[1])
        self._idf = np.log(self._n_filled / (1 + counts))
        self._rows = self._weighted(rows)
        self._means = np.zeros(rows.shape[1])
        if params.similarity == "adjusted":
            self._means = self._rows.sum(axis=0) / self._n_filled

    def nearest(self, others: csr_array | None = None) -> csr_array:
        """Similarities (M, N) of binary rows (M, D) to those of the N rows that are nearest to each.

        Without other rows: of the N rows themselves, none of which is its own neighbour.
        """
        left = self._rows if others is None else self._weighted(others)
        right = self._rows.T.tocsr()
        left_shifts, left_squares = self._centred(left)
        shifts, squares = self._centred(self._rows)
        parts = []
        for rows in blocks(left.shape[0], right.shape[1]):
            block = left[rows] @ right
            if others is None:
                forget_self(block, rows.start)
            one, other = row_numbers(block) + rows.start, block.indices
            there = block.data != 0
            block.data -= left_shifts[one] + shifts[other] - self._means @ self._means
            block.data /= self._denominator(block.data, left_squares[one], squares[other])
            block.data *= there
            parts.append(largest(block, self._params.neighbors))
        return stacked(parts, right.shape[1])

    def _weighted(self, rows: csr_array) -> csr_array:
        weights = rows.data
        if self._params.weighting != "none":
            weights = weights * self._idf[rows.indices]
        if self._params.weighting == "bm25":
            lengths = np.diff(rows.indptr)[row_numbers(rows)]
            weights = weights * (_K + 1) / (_K * (1 - _B + _B * lengths / self._mean_length) + 1)
        return csr_array((weights, rows.indices, rows.indptr), shape=rows.shape)

    def _centred(self, rows: csr_array) -> tuple[np.ndarray, np.ndarray]:
        """x.m and |x - m|^2 of every row x, without making x - m."""
        shifts = rows @ self._means
        squares = rows.power(2).sum(axis=1) - 2 * shifts + self._means @ self._means
        return shifts, squares

    def _denominator(self, dots: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """From x.y, x.x and y.y of pairs of rows; infinite where it is zero."""
        if self._params.similarity == "dot":
            return np.ones_like(dots)
        if self._params.similarity == "jaccard":
            plain = one + other - dots
        elif self._params.similarity == "dice":
            plain = (one + other) / 2
        else:
            plain = np.sqrt(np.maximum(one * other, 0))
        plain += self._params.shrink
        return np.where(plain > 0, plain, np.inf)
