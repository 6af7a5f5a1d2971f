"""Sampled candidates: a user's relevant items are ranked among some negatives instead of among the whole catalogue.

Such figures are not estimates of those of the full ranking, and need not order models as it does: every metric but the
area under the curve depends on which few ranks the relevant items have at the very top, and a sample hides exactly
those. In the limit of few negatives all metrics turn into that area (Krichene and Rendle, "On sampled metrics for item
recommendation", KDD 2020). They are here to compare with work that reports them, and are labelled wherever they stand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from benchmark.data.dataset import Csr
from workbench.files import fingerprint, sha256_array

Part = Literal["validation", "test"]
_BLOCK = 2**21  # ranks drawn at a time; the draws depend on it, as on the seed
_STREAM = {"validation": 1, "test": 2}


@dataclass(frozen=True)
class Negatives:
    """Sampled negatives of the judged users, compressed by rows.

    Attributes
    ----------
    users : (E,) int64, ascending; also those who have none.
    indptr : (E + 1,) int64; user users[e] has items[indptr[e]:indptr[e + 1]].
    items : (N,) int32, ascending within a user.
    """

    users: np.ndarray
    indptr: np.ndarray
    items: np.ndarray

    def keys(self, n_items: int) -> np.ndarray:
        """(N,) int64: user * I + item, ascending."""
        return np.asarray(np.repeat(self.users * n_items, self.counts) + self.items)

    @property
    def counts(self) -> np.ndarray:
        """(E,) int64: negatives of each user."""
        return np.diff(self.indptr)

    @property
    def fewest(self) -> int:
        """Negatives of the user who has fewest."""
        return int(self.counts.min()) if len(self.users) else 0

    @cached_property
    def digest(self) -> str:
        """Hash of the sample."""
        return fingerprint([sha256_array(array) for array in (self.users, self.indptr, self.items)])


def draw_negatives(
    users: np.ndarray, known: Sequence[Csr], n_items: int, count: int, seed: int, part: Part
) -> Negatives:
    """Draw `count` negatives for each user, uniformly without replacement; a user who has fewer gets all of them.

    Parameters
    ----------
    users : (E,) int64, ascending: who gets negatives.
    known : all parts of the split, CSR over (U, I'); an item of any of them is no negative of that user.
    n_items : I, the number of catalogue items.
    seed, part : the two parts of a split are drawn from streams of their own.
    """
    generator = np.random.default_rng([seed % 2**32, _STREAM[part]])
    taken = catalogue_keys(known, n_items)
    starts = np.searchsorted(taken, users * n_items)
    free = n_items - (np.searchsorted(taken, (users + 1) * n_items) - starts)
    # The i-th known item of a user, less i, is the number of items before it that are free. So the free item of rank r
    # is r plus the number of known items where that is at most r.
    owners = taken // n_items
    before = taken - (np.arange(len(taken)) - np.searchsorted(taken, owners * n_items))
    items = [np.zeros(0, dtype=np.int32)]
    rows = max(1, _BLOCK // min(2 * count, n_items))
    for start in range(0, len(users), rows):
        block = slice(start, start + rows)
        ranks = _draw_ranks(generator, free[block], min(count, n_items))
        places, columns = np.nonzero(ranks >= 0)
        drawn = ranks[places, columns]
        passed = np.searchsorted(before, users[block][places] * n_items + drawn, side="right") - starts[block][places]
        items.append((drawn + passed).astype(np.int32))
    indptr = np.concatenate([[0], np.cumsum(np.minimum(free, count))])
    return Negatives(users, indptr, np.concatenate(items))


def catalogue_keys(parts: Sequence[Csr], n_items: int) -> np.ndarray:
    """user * I + item of every row of the parts within the catalogue: int64, ascending, each once."""
    return distinct_keys([(part.users * n_items + part.items)[part.items < n_items] for part in parts])


def distinct_keys(parts: Sequence[np.ndarray]) -> np.ndarray:
    """The values of int64 arrays, all at least 0: ascending, each once."""
    # a stable sort joins runs that ascend already in linear time; `np.unique` hashes, which is far slower here
    keys = np.sort(np.concatenate(parts), kind="stable")
    return np.asarray(keys[np.diff(keys, prepend=-1) > 0])


class Candidates:
    """Who is ranked for whom: the relevant held-out items of a user and the negatives.

    Parameters
    ----------
    part : held-out rows, CSR over (U, I'); relevant are those with a rating of at least `threshold`. Items from
        `n_items` on are never candidates.

    Attributes
    ----------
    keys : user * I + item of every candidate: int64, ascending, each once.
    """

    def __init__(self, part: Csr, threshold: float, negatives: Negatives, n_items: int, device: torch.device) -> None:
        relevant = (part.values >= threshold) & (part.items < n_items)
        positives = part.users[relevant] * n_items + part.items[relevant]
        self.keys = distinct_keys([positives, negatives.keys(n_items)])
        indptr = np.searchsorted(self.keys, np.arange(len(part.indptr)) * n_items)
        self._indptr = torch.from_numpy(indptr).to(device)
        self._items = torch.from_numpy((self.keys % n_items).astype(np.int32)).to(device)

    def apply(self, scores: Tensor, users: Tensor) -> None:
        """Set the scores (B, I) of all items but the candidates of the users (B,) to minus infinity, in place.

        Goes with `Mask.apply` in either order: an item that is masked stays masked.
        """
        starts = self._indptr[users]
        counts = self._indptr[users + 1] - starts
        rows = torch.repeat_interleave(torch.arange(len(users), device=users.device), counts)
        ends = counts.cumsum(0)
        places = torch.arange(len(rows), device=users.device) + (starts - (ends - counts))[rows]
        flat = scores.view(-1)
        kept = rows * scores.shape[1] + self._items[places]
        values = flat[kept]
        flat.fill_(-torch.inf)
        flat[kept] = values


def _draw_ranks(generator: np.random.Generator, sizes: np.ndarray, count: int) -> np.ndarray:
    """For every row, min(count, size) distinct numbers below its size, ascending behind -1s: (B, count) int64.

    Where a row takes up to half of its numbers, doubles are drawn again until there are none. This treats all numbers
    alike, so every set is as likely as any other. Denser rows take the places of their smallest random keys.
    """
    ranks: np.ndarray = np.full((len(sizes), count), -1, dtype=np.int64)
    sparse = np.flatnonzero(2 * count <= sizes)
    if len(sparse):
        limits = sizes[sparse]
        drawn = np.sort(generator.integers(0, limits[:, None], size=(len(sparse), count)), axis=1)
        left: np.ndarray = np.arange(len(sparse))
        while True:
            rows, columns = np.nonzero(drawn[left, 1:] == drawn[left, :-1])
            if len(rows) == 0:
                break
            drawn[left[rows], columns + 1] = generator.integers(0, limits[left[rows]])
            left = left[np.unique(rows)]
            drawn[left] = np.sort(drawn[left], axis=1)
        ranks[sparse] = drawn
    dense = np.flatnonzero((2 * count > sizes) & (sizes > 0))
    if len(dense):
        limits = sizes[dense][:, None]
        keys = generator.random((len(dense), limits.max()))
        keys[np.arange(keys.shape[1]) >= limits] = 2.0  # behind all others
        drawn = np.argsort(keys, axis=1)[:, :count]
        drawn[np.arange(drawn.shape[1]) >= limits] = -1
        ranks[dense, : drawn.shape[1]] = drawn
        ranks[dense] = np.sort(ranks[dense], axis=1)
    return ranks
