"""Features of interactions (reviews, photos of reviews): rows under ids `<user>__<item>`.

A review of a held-out pair tells that the user has had the item, and often how he liked it. So an item's features are
the mean over its training reviews only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from loguru import logger

from benchmark.data.dataset import Csr, Dataset
from benchmark.data.modalities.sources import Rows
from workbench.errors import UserError
from workbench.features import FeatureTable
from workbench.pairs import escape_half

_BLOCK_VALUES = 1 << 22  # values of reviews read at a time


def is_pair_table(table: FeatureTable) -> bool:
    """Whether the manifest says that the rows were extracted from interactions."""
    return str(table.manifest.get("recipe", {}).get("modality", "")).endswith(" interactions")


def pair_rows(
    ids: Sequence[str | None],
    users: np.ndarray,
    items: np.ndarray,
    user_ids: Sequence[str],
    item_ids: Sequence[str],
) -> np.ndarray:
    """Where the rows of pairs stand in a table.

    Parameters
    ----------
    ids : (N,) ids of the table.
    users, items : (T,) the pairs, as places in `user_ids` and `item_ids` (raw ids).

    Returns
    -------
    (T,) int64 row of each pair, -1 where the table has none.
    """
    halves = pd.Series(list(ids), dtype=object).fillna("").str.partition("__")
    coded = [
        pd.Index([escape_half(each) for each in known]).get_indexer(pd.Index(halves[half]))
        for half, known in ((0, user_ids), (2, item_ids))
    ]
    known_rows = np.flatnonzero((coded[0] >= 0) & (coded[1] >= 0))
    keys = coded[0][known_rows].astype(np.int64) * len(item_ids) + coded[1][known_rows]
    order = np.argsort(keys, kind="stable")
    keys, known_rows = keys[order], known_rows[order]
    wanted = users.astype(np.int64) * len(item_ids) + items
    if not len(keys):
        return np.full(len(wanted), -1, dtype=np.int64)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, known_rows[place], -1)


def held_out_reviews(ids: Sequence[str | None], dataset: Dataset) -> int:
    """How many rows of a table with ids `<user>__<item>` belong to pairs that are held out for validation or test."""
    train_keys = dataset.train.users * len(dataset.item_ids) + dataset.train.items
    rows = [
        pair_rows(ids, part.users[fresh], part.items[fresh], dataset.user_ids, dataset.item_ids)
        for part in (dataset.validation, dataset.test)
        if part is not None
        for fresh in [~np.isin(part.users * len(dataset.item_ids) + part.items, train_keys)]
    ]
    found = np.unique(np.concatenate(rows))
    return int((found >= 0).sum())


@dataclass(frozen=True)
class Reviews:
    """Item features from a table of reviews: the mean over an item's training pairs, (row of the pair).

    Attributes
    ----------
    rows : the table, ids `<user>__<item>` under the raw ids of the data set.
    user_ids, item_ids : raw ids by number.
    train : the training part under those numbers; no other pair's row is read.
    """

    rows: Rows
    user_ids: Sequence[str]
    item_ids: Sequence[str]
    train: Csr

    @property
    def path(self) -> Path:
        return self.rows.path

    def gather(self, items: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Means (len(items), D), float32, and whether an item has a training review."""
        table = self.rows.table
        found, owner = self._training_rows()
        order = np.lexsort((found, owner))
        found, owner = found[order], owner[order]
        counts = np.bincount(owner, minlength=len(self.item_ids))
        sums = np.zeros((len(self.item_ids), table.dim))
        size = max(1, _BLOCK_VALUES // table.dim)
        for start in range(0, len(found), size):
            block = table.matrix[found[start : start + size]].astype(np.float64)
            self._refuse_broken(block, found[start : start + size])
            owners, first = np.unique(owner[start : start + size], return_index=True)
            sums[owners] += np.add.reduceat(block, first, axis=0)
        numbers = self._numbers(items)
        values = (sums[numbers] / np.maximum(counts[numbers], 1)[:, None]).astype(np.float32)
        logger.info(
            "{}: {} training reviews are averaged into {} items; the other {} rows are not read",
            self.path, len(found), int((counts > 0).sum()), len(table.ids) - len(found),
        )  # fmt: skip
        return values, counts[numbers] > 0

    def has(self, items: Sequence[str]) -> np.ndarray:
        _, owner = self._training_rows()
        return np.bincount(owner, minlength=len(self.item_ids))[self._numbers(items)] > 0

    def _training_rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Row of every training pair that has one, and the item that it is of."""
        items = self.train.items
        rows = pair_rows(self.rows.table.ids, self.train.users, items, self.user_ids, self.item_ids)
        return rows[rows >= 0], items[rows >= 0]

    def _numbers(self, items: Sequence[str]) -> np.ndarray:
        return pd.Index(list(self.item_ids)).get_indexer(pd.Index(list(items)))

    def _refuse_broken(self, block: np.ndarray, rows: np.ndarray) -> None:
        bad = ~np.isfinite(block).all(axis=1)
        if bad.any():
            raise UserError(
                f"the review {self.rows.table.ids[rows[int(bad.argmax())]]!r} has NaN or infinite features",
                where=self.path,
                mend="extract that layer again",
            )
