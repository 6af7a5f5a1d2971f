"""What models without training are made of: the interactions as a scipy matrix, the largest entries of long rows, and
scores that are linear in what a user has done. No matrix of users or items by items is dense outside a block."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from scipy.sparse import csr_array, vstack
from torch import Tensor

from benchmark.models.base import Histories, Params, Recommender, Scorer, TrainingData

_BLOCK_ENTRIES = 1 << 22  # entries of a product held at a time, were all of them there


def interactions(shown: TrainingData | Histories, n_items: int) -> csr_array:
    """The binary matrix R (U, I), float64, of the training part or of histories; columns ascend within a row."""
    indptr, items = shown.indptr.cpu().numpy(), shown.items.cpu().numpy()
    matrix = csr_array((np.ones(len(items)), items, indptr), shape=(len(indptr) - 1, n_items), copy=True)
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix


def blocks(n_rows: int, n_columns: int) -> Iterator[slice]:
    """The rows of a matrix, so many at a time as can be held."""
    size = max(1, _BLOCK_ENTRIES // max(1, n_columns))
    return (slice(start, min(start + size, n_rows)) for start in range(0, n_rows, size))


def row_numbers(matrix: csr_array) -> np.ndarray:
    """(E,): the row of each entry."""
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


def forget_self(block: csr_array, first: int) -> None:
    """Set the entries (r, first + r) to zero, in place: those of the diagonal, where a block begins at row `first`."""
    block.data[block.indices == row_numbers(block) + first] = 0


def largest(matrix: csr_array, k: int) -> csr_array:
    """Of every row the k largest positive entries, in single precision; of equal ones those of the lower columns."""
    matrix.sort_indices()
    values, rows = matrix.data.astype(np.float32), row_numbers(matrix)
    positive = values > 0
    values, rows, columns = values[positive], rows[positive], matrix.indices[positive]
    bits = values.view(np.int32).astype(np.int64)  # positive floats are ordered as their bits are
    order = np.argsort((rows.astype(np.int64) << 31) + (2**31 - 1 - bits), kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=matrix.shape[0]))])
    kept = order[np.arange(len(order)) - starts[rows] < k]
    return csr_array((values[kept], (rows[kept], columns[kept])), shape=matrix.shape)


def stacked(parts: list[csr_array], n_columns: int) -> csr_array:
    """Blocks of rows as one matrix, single precision."""
    return csr_array(vstack([csr_array((0, n_columns), dtype=np.float32), *parts], format="csr"))


def linear_scorer(profiles: csr_array, weights: csr_array | np.ndarray, device: torch.device) -> Scorer:
    """Scores P W, of profiles P (U, J), one row a user, and weights W (J, I); the product of a block is all that is
    dense."""
    rows_of, weights = profiles.astype(np.float32), weights.astype(np.float32, copy=False)

    def score(users: Tensor) -> Tensor:
        product = rows_of[users.cpu().numpy()] @ weights
        return torch.from_numpy(product if isinstance(product, np.ndarray) else product.toarray()).to(device)

    return score


class ItemWeights(Recommender):
    """score(u, i) = sum over the items j that u has of W_ji; a user who is shown later needs nothing but the items.

    Attributes
    ----------
    weights : W (I, I), made by the model's `__init__`; sparse, or dense where the model says so.
    """

    weights: csr_array | np.ndarray

    def __init__(self, params: Params, data: TrainingData) -> None:
        super().__init__()
        self.params, self.data = params, data
        self.interactions = interactions(data, data.n_items)

    def scorer(self) -> Scorer:
        return linear_scorer(self.interactions, self.weights, self.data.device)

    def fold_in_scorer(self, histories: Histories) -> Scorer:
        return linear_scorer(interactions(histories, self.data.n_items), self.weights, self.data.device)
