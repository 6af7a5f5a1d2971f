"""The item co-interaction graph: how many training users two items share."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.sparse import csr_array

from benchmark.data.dataset import Csr

_BLOCK_ENTRIES = 1 << 20  # co-interactions counted at a time, bounded by the products behind them


def co_interactions(
    train: Csr, n_items: int, top_k: int, rows: np.ndarray | None = None, neighbours: np.ndarray | None = None
) -> csr_array:
    """The `top_k` strongest neighbours of items: entry (r, j) is the number of users of both `rows[r]` and j.

    This is R^T R without its diagonal, R the binary training matrix. Of equal counts the lower item number comes first.
    Blocks of rows are counted at a time, so that memory holds the kept entries and one block.

    Parameters
    ----------
    train : the training part, (U, `n_items`); ratings are not read.
    rows : item numbers whose neighbours are wanted; default all.
    neighbours : (I,) bool, the items that may be neighbours; default all.

    Returns
    -------
    (len(rows), I) float64.
    """
    rows = np.arange(n_items) if rows is None else rows
    interactions = _binary(train.indptr, train.items, n_items)
    users_of = interactions.T.tocsr()[rows]
    if neighbours is not None:
        kept = neighbours[train.items]
        before = np.concatenate([[0], np.cumsum(kept)])
        interactions = _binary(before[train.indptr], train.items[kept], n_items)
    products = users_of @ np.diff(interactions.indptr)
    nothing = np.empty(0, dtype=np.int64)
    found = [(nothing, nothing, nothing)]
    for start, stop in _blocks(np.minimum(products, n_items), interactions.shape[0], n_items):
        block = (users_of[start:stop] @ interactions).tocoo()
        strangers = block.col != rows[start:stop][block.row]
        row, item, count = (array[strangers] for array in (block.row, block.col, block.data))
        row, item, count = _strongest(row.astype(np.int64), item.astype(np.int64), count, n_items, top_k)
        found.append((row + start, item, count))
    row, item, count = (np.concatenate(column) for column in zip(*found, strict=True))
    return csr_array((count.astype(np.float64), (row, item)), shape=(len(rows), n_items))


def row_normalised(graph: csr_array) -> csr_array:
    """Every row divided by its sum; empty rows stay empty."""
    sums = np.repeat(graph.sum(axis=1), np.diff(graph.indptr))
    return csr_array((graph.data / sums, graph.indices, graph.indptr), shape=graph.shape)


def _binary(indptr: np.ndarray, items: np.ndarray, n_items: int) -> csr_array:
    ones = np.ones(len(items), dtype=np.int64)
    matrix = csr_array((ones, items, indptr), shape=(len(indptr) - 1, n_items), copy=True)
    matrix.sum_duplicates()  # in place, hence the copy
    matrix.data[:] = 1
    return matrix


def _blocks(entries: np.ndarray, n_users: int, n_items: int) -> list[tuple[int, int]]:
    """Ranges of rows with about `_BLOCK_ENTRIES` entries, few enough for the sort keys of `_strongest` to fit."""
    most_rows = max(1, (1 << 62) // ((n_users + 1) * n_items))
    number = (np.cumsum(entries) - entries) // _BLOCK_ENTRIES
    number = number + np.arange(len(entries)) // most_rows
    edges = [*np.flatnonzero(np.diff(number, prepend=-1)).tolist(), len(entries)]
    return list(pairwise(edges))


def _strongest(
    row: np.ndarray, item: np.ndarray, count: np.ndarray, n_items: int, top_k: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of every row the `top_k` entries with the largest counts, by one sort of (row, -count, item) as one number."""
    if not len(row):
        return row, item, count
    span = int(count.max()) + 1
    key = np.sort((row * span + (span - 1 - count)) * n_items + item)
    row, item, count = key // (span * n_items), key % n_items, span - 1 - key // n_items % span
    first = np.concatenate([[0], np.cumsum(np.bincount(row))])[row]
    kept = np.arange(len(row)) - first < top_k
    return row[kept], item[kept], count[kept]
