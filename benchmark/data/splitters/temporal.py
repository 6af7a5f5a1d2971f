"""Splitters by time: the last rows of each user, or all rows from one moment on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from loguru import logger

from benchmark.data.interactions import Interactions
from benchmark.data.splitters.base import kept_rows
from workbench.errors import UserError


@dataclass(frozen=True)
class TemporalHoldOut:
    """Hold out each user's last rows: a share (`test_ratio`) or a number (`leave_n_out`) of them.

    Rows of one moment count in file order.
    """

    test_ratio: float | None = None
    leave_n_out: int | None = None

    def held_out(self, interactions: Interactions, generator: np.random.RandomState) -> np.ndarray:
        """(T,) bool, true for held-out rows; nothing is drawn."""
        times = _times(interactions)
        order = np.lexsort((times, interactions.users))
        counts = np.bincount(interactions.users, minlength=len(interactions.user_ids))
        kept = np.array([kept_rows(count, self.test_ratio, self.leave_n_out) for count in range(counts.max() + 1)])
        place = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        flags = np.zeros(len(order), dtype=bool)
        flags[order] = place >= np.repeat(kept[counts], counts)
        return flags


@dataclass(frozen=True)
class FixedTimestamp:
    """Hold out every row from one moment on.

    `timestamp` is that moment (unix seconds), or `best`: the one that leaves the most users with at least `min_below`
    rows before it and `min_over` from it on; of several, the latest.
    """

    timestamp: int | Literal["best"]
    min_below: int = 1
    min_over: int = 1

    def held_out(self, interactions: Interactions, generator: np.random.RandomState) -> np.ndarray:
        """(T,) bool, true for held-out rows; nothing is drawn."""
        times = _times(interactions)
        moment = self._best(interactions.users, times) if self.timestamp == "best" else self.timestamp
        return np.asarray(times >= moment)

    def _best(self, users: np.ndarray, times: np.ndarray) -> int:
        """With a user's times t_1 <= ... <= t_n, a moment suits the user if t_below < moment <= t_(n - over + 1)."""
        order = np.lexsort((times, users))
        counts = np.bincount(users)
        counts = counts[counts > 0]
        starts = np.cumsum(counts) - counts
        enough = counts >= self.min_below + self.min_over
        moments, ordered = np.unique(times), times[order]
        first = np.searchsorted(moments, ordered[(starts + self.min_below - 1)[enough]], side="right")
        last = np.searchsorted(moments, ordered[(starts + counts - self.min_over)[enough]], side="right")
        suited = np.cumsum(
            np.bincount(first, minlength=len(moments) + 1) - np.bincount(last, minlength=len(moments) + 1)
        )[: len(moments)]
        if not len(suited) or suited.max() == 0:
            raise UserError(
                f"no moment leaves any user {self.min_below} rows before it and {self.min_over} after it",
                mend="lower `min_below` or `min_over`",
            )
        place = len(moments) - 1 - int(suited[::-1].argmax())
        logger.info("best timestamp {}: {} users have rows on both sides", moments[place], suited[place])
        return int(moments[place])


def _times(interactions: Interactions) -> np.ndarray:
    if interactions.timestamps is None:
        raise UserError("splitting by time needs timestamps", mend="add a fourth column of unix seconds")
    return interactions.timestamps
