"""A split as models and evaluators see it: integer ids, CSR, one universe of users and items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmark.data.interactions import Interactions
from benchmark.data.splitters import Parts
from workbench.arrays import number_ids, stable_argsort, used_codes
from workbench.errors import UserError
from workbench.files import fingerprint, sha256_array

Candidates = Literal["train", "all"]


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
        order = stable_argsort(users * (int(items.max(initial=0)) + 1) + items)
        indptr = np.zeros(n_users + 1, dtype=np.int64)
        np.cumsum(np.bincount(users, minlength=n_users), out=indptr[1:])
        return Csr(indptr, items[order].astype(np.int64), values[order].astype(np.float32))


@dataclass(frozen=True)
class Dataset:
    """One split, re-indexed.

    Users are those of the training part, and after them those whose rows are only shown (fold-in). Items are numbered
    in the order in which they first stand in the training part; items that only stand elsewhere follow. Candidates are
    the first `n_items`: the training items, as in Elliot, or all of them, as in MMRec. A held-out item that is no
    candidate counts in the denominators of the metrics.

    Attributes
    ----------
    user_ids, item_ids : raw ids by number; `item_ids` may go on after `n_items`.
    n_items : number of candidate items.
    train, validation, test : CSR over (users, items).
    validation_input, test_input : rows that a model is shown before it recommends to users without training rows.
    """

    user_ids: Sequence[str]
    item_ids: Sequence[str]
    n_items: int
    train: Csr
    validation: Csr | None
    test: Csr
    validation_input: Csr | None = None
    test_input: Csr | None = None

    @property
    def n_users(self) -> int:
        return len(self.user_ids)

    def fingerprint(self) -> str:
        """Hash of ids and of all parts."""
        parts = [self.train, self.validation, self.test, self.validation_input, self.test_input]
        hashes = [
            None if part is None else [sha256_array(array) for array in (part.indptr, part.items, part.values)]
            for part in parts
        ]
        return fingerprint(["\n".join(self.user_ids), "\n".join(self.item_ids), self.n_items, hashes])


def build_dataset(parts: Parts, binarize: bool = False, candidates: Candidates = "train") -> Dataset:
    """Re-index a split.

    Rows of users who neither train nor are shown (fold-in) are left out: nothing is known of them.

    Parameters
    ----------
    binarize : every rating becomes 1.
    candidates : `train`: the items of the training part; `all`: those of every part, and of the catalogue if there is
        one.

    Raises
    ------
    UserError : a held-out part has no row of a known user.
    """
    inputs = {"validation_input": parts.validation_input, "test_input": parts.test_input}
    held_out = {"validation": parts.validation, "test": parts.test}
    everything = {name: part for name, part in {"train": parts.train, **held_out, **inputs}.items() if part is not None}
    known = [part for part in (parts.train, *inputs.values()) if part is not None]
    users = number_ids((part.user_ids, part.users) for part in known)
    catalogue = [] if parts.items is None else [(parts.items, np.arange(len(parts.items)))]
    items = number_ids([*((part.item_ids, part.items) for part in everything.values()), *catalogue])
    n_items = len(items) if candidates == "all" else len(used_codes(parts.train.items))
    csr = {name: _encode(name, part, users, items, binarize) for name, part in everything.items()}
    return Dataset(
        list(users),
        list(items),
        n_items,
        csr["train"],
        csr.get("validation"),
        csr["test"],
        csr.get("validation_input"),
        csr.get("test_input"),
    )


def _encode(name: str, part: Interactions, users: dict[str, int], items: dict[str, int], binarize: bool) -> Csr:
    user_numbers = np.array([users.get(identifier, -1) for identifier in part.user_ids], dtype=np.int64)[part.users]
    item_numbers = np.array([items.get(identifier, -1) for identifier in part.item_ids], dtype=np.int64)[part.items]
    known = user_numbers >= 0
    if not known.any():
        raise UserError(
            f"the {name} split has no row of a user that stands in training",
            mend="check that the files belong together",
        )
    values = np.ones(len(part)) if binarize else part.ratings
    return Csr.build(user_numbers[known], item_numbers[known], values[known], len(users))
