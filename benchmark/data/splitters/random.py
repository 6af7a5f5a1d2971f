"""`random_subsampling`: held-out rows at random, user by user.

It follows Elliot 0.3.1 draw for draw: numpy's legacy generator, users in ascending order of their id
as a string, for each user floor(n (1 - ratio)) training flags and the rest held-out flags, shuffled, given to the
user's rows in file order. Validation is split off the training part by the same generator, which is not seeded again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmark.data.interactions import Interactions
from benchmark.data.splitters.base import kept_rows


@dataclass(frozen=True)
class RandomSubsampling:
    """Hold out a share of each user's interactions (`test_ratio`), or a number of them (`leave_n_out`)."""

    test_ratio: float | None = None
    leave_n_out: int | None = None

    def held_out(self, interactions: Interactions, generator: np.random.RandomState) -> np.ndarray:
        """(T,) bool, true for held-out rows. One pass over users: the published draws are sequential."""
        order = np.argsort(interactions.users, kind="stable")
        counts = np.bincount(interactions.users, minlength=len(interactions.user_ids))
        flags = np.zeros(len(interactions), dtype=bool)
        start = 0
        for count in counts[counts > 0].tolist():
            kept = kept_rows(count, self.test_ratio, self.leave_n_out)
            drawn = np.zeros(count, dtype=bool)
            drawn[kept:] = True
            generator.shuffle(drawn)
            flags[order[start : start + count]] = drawn
            start += count
        return flags
