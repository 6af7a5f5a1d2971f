"""Held-out rows at random, user by user: Elliot's published draws, and a form that no file order can change."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmark.data.interactions import Interactions
from benchmark.data.splitters.base import Cut, Draws
from benchmark.data.splitters.ordering import drawn_places, kept_rows, places_within, row_counts, shorter
from workbench.arrays import stable_argsort


@dataclass(frozen=True)
class RandomSubsampling:
    """Hold out a share of each user's interactions (`test_ratio`), or a number of them (`leave_n_out`), `folds` times.

    It follows Elliot 0.3.1 draw for draw: numpy's legacy generator, users in ascending order of their id as a string,
    for each user floor(n (1 - ratio)) training flags, computed in double precision, and the rest held-out flags,
    shuffled, given to the user's rows in file order. Further folds go over all users again, with the draws that follow.
    Another file order gives another split; `RandomHoldOut` does not depend on it.
    """

    test_ratio: float | None = None
    leave_n_out: int | None = None
    folds: int = 1

    def cuts(self, interactions: Interactions, draws: Draws) -> list[Cut]:
        """One cut a fold. Users are visited one after the other: the published draws are sequential."""
        users = interactions.users
        order = stable_argsort(users)
        unshuffled = (places_within(users, order) >= self._kept(row_counts(users)))[order]
        counts = np.bincount(users)
        ends = np.cumsum(counts[counts > 0]).tolist()
        cuts = []
        for _ in range(self.folds):
            drawn = unshuffled.copy()
            for start, end in zip([0, *ends], ends, strict=False):
                draws.legacy.shuffle(drawn[start:end])
            held_out = np.empty(len(order), dtype=bool)
            held_out[order] = drawn
            cuts.append(Cut(held_out))
        return cuts

    def _kept(self, counts: np.ndarray) -> np.ndarray:
        """Not always the exact floor: of 5 rows at a ratio of .8 none is kept, since 5 (1 - .8) is below 1 in double
        precision."""
        if self.test_ratio is None:
            return kept_rows(counts, None, self.leave_n_out)
        return np.floor(counts * (1 - self.test_ratio)).astype(np.int64)

    def remedy(self, interactions: Interactions) -> str:
        return shorter(self.test_ratio, self.leave_n_out)


@dataclass(frozen=True)
class RandomHoldOut:
    """Hold out a share of each user's interactions (`test_ratio`), or a number of them (`leave_n_out`), `folds` times.

    A user with n rows keeps floor(n (1 - ratio)), exactly; which ones does not depend on the order of the file. The
    folds are independent draws and may share rows.
    """

    test_ratio: float | None = None
    leave_n_out: int | None = None
    folds: int = 1

    def cuts(self, interactions: Interactions, draws: Draws) -> list[Cut]:
        """One cut a fold."""
        kept = kept_rows(row_counts(interactions.users), self.test_ratio, self.leave_n_out)
        return [Cut(drawn_places(interactions, draws.generator) >= kept) for _ in range(self.folds)]

    def remedy(self, interactions: Interactions) -> str:
        return shorter(self.test_ratio, self.leave_n_out)
