"""A split as models and evaluators see it: integer ids, CSR, one universe of users and items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from loguru import logger

from benchmark.data.interactions import Interactions
from benchmark.data.splitters import Parts
from workbench.errors import UserError
from workbench.files import fingerprint, sha256_array


@dataclass(frozen=True)
class Csr:
    """Rows of a user x item matrix.

    Attributes
    ----------
    indptr : (U + 1,) int64.
    items : (T,) int64, ascending within a user.
    values : (T,) float32 ratings.
    """

    indptr: np.ndarray
    items: np.ndarray
    values: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """(U,) int64: rows of each user."""
        return np.diff(self.indptr)

    @property
    def users(self) -> np.ndarray:
        """(T,) int64: the user of each row."""
        return np.repeat(np.arange(len(self.indptr) - 1), self.counts)

    @staticmethod
    def build(users: np.ndarray, items: np.ndarray, values: np.ndarray, n_users: int) -> Csr:
        order = np.lexsort((items, users))
        indptr = np.zeros(n_users + 1, dtype=np.int64)
        np.cumsum(np.bincount(users, minlength=n_users), out=indptr[1:])
        return Csr(indptr, items[order].astype(np.int64), values[order].astype(np.float32))


@dataclass(frozen=True)
class Dataset:
    """One split, re-indexed.

    The universe of users and items is that of the training part, as in Elliot: candidates are its items. Items are
    numbered in the order in which they first stand in the training file; items that only stand in held-out files follow
    with numbers from `n_items` on. They are never candidates, and count in the denominators of the metrics.

    Attributes
    ----------
    user_ids, item_ids : raw ids by number; `item_ids` goes on after `n_items` with the held-out-only items.
    n_items : number of candidate items.
    train, validation, test : CSR over (users, items).
    """

    user_ids: Sequence[str]
    item_ids: Sequence[str]
    n_items: int
    train: Csr
    validation: Csr | None
    test: Csr

    @property
    def n_users(self) -> int:
        return len(self.user_ids)

    def fingerprint(self) -> str:
        """Hash of ids and of all three parts."""
        parts = [self.train, self.validation, self.test]
        arrays = [array for part in parts if part is not None for array in (part.indptr, part.items, part.values)]
        ids = "\n".join([*self.user_ids, "", *self.item_ids])
        return fingerprint([ids, *[sha256_array(array) for array in arrays]])


def build_dataset(parts: Parts, binarize: bool = False) -> Dataset:
    """Re-index a split; held-out rows of users without training rows are left out, with a warning that counts them."""
    train = parts.train
    user_index = _appearance(train.users, train.user_ids)
    item_index = _appearance(train.items, train.item_ids)
    n_items = len(item_index)
    held_out = {"validation": parts.validation, "test": parts.test}
    for part in held_out.values():
        if part is not None:
            for identifier in part.item_ids[_first(part.items)]:
                item_index.setdefault(identifier, len(item_index))
    csr = {
        name: _encode(name, part, user_index, item_index, binarize)
        for name, part in held_out.items()
        if part is not None
    }
    encoded_train = _encode("training", train, user_index, item_index, binarize)
    _warn_overlap(encoded_train, csr, len(item_index))
    return Dataset(list(user_index), list(item_index), n_items, encoded_train, csr.get("validation"), csr["test"])


def _first(codes: np.ndarray) -> np.ndarray:
    _, first = np.unique(codes, return_index=True)
    return codes[np.sort(first)]


def _appearance(codes: np.ndarray, ids: np.ndarray) -> dict[str, int]:
    return {identifier: number for number, identifier in enumerate(ids[_first(codes)])}


def _encode(name: str, part: Interactions, users: dict[str, int], items: dict[str, int], binarize: bool) -> Csr:
    user_numbers = np.array([users.get(identifier, -1) for identifier in part.user_ids], dtype=np.int64)[part.users]
    item_numbers = np.array([items.get(identifier, -1) for identifier in part.item_ids], dtype=np.int64)[part.items]
    known = user_numbers >= 0
    if not known.all():
        strangers = len(np.unique(part.users[~known]))
        logger.warning(
            "{}: {} rows of {} users without training rows are left out", name, int((~known).sum()), strangers
        )
    if not known.any():
        raise UserError(
            f"the {name} split has no row of a user that stands in training",
            mend="check that the files belong together",
        )
    values = np.ones(len(part)) if binarize else part.ratings
    return Csr.build(user_numbers[known], item_numbers[known], values[known], len(users))


def _warn_overlap(train: Csr, held_out: dict[str, Csr], n_ids: int) -> None:
    seen = train.users * n_ids + train.items
    for name, part in held_out.items():
        keys = part.users * n_ids + part.items
        common = int(np.isin(keys, seen).sum())
        if common:
            logger.warning("{} (user, item) pairs of {} also stand in an earlier part", common, name)
        seen = np.concatenate([seen, keys])
