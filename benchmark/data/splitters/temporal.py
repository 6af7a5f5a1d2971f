"""Splitters by time: the last rows of each user, or all rows from one moment on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from loguru import logger

from benchmark.data.interactions import Interactions
from benchmark.data.splitters.base import Cut, Draws
from benchmark.data.splitters.ordering import drawn_places, kept_rows, places_within, row_counts, shorter
from workbench.errors import UserError


@dataclass(frozen=True)
class TemporalHoldOut:
    """Hold out each user's last rows: a share (`test_ratio`) or a number (`leave_n_out`) of them.

    A user with n rows keeps the first floor(n (1 - ratio)). Rows of one moment count in the order of their item ids
    (as strings), then of their ratings, whatever the order of the file; Elliot takes file order there.
    """

    test_ratio: float | None = None
    leave_n_out: int | None = None

    def cuts(self, interactions: Interactions, draws: Draws) -> list[Cut]:
        """One cut; nothing is drawn."""
        kept = kept_rows(row_counts(interactions.users), self.test_ratio, self.leave_n_out)
        return [Cut(_places_in_time(interactions) >= kept)]

    def remedy(self, interactions: Interactions) -> str:
        return shorter(self.test_ratio, self.leave_n_out)


@dataclass(frozen=True)
class LeaveOneOut:
    """Hold out each user's last row by time; rows of one moment count in the order of item id and rating.

    Without timestamps it is a row at random. Users with a single row keep it.
    """

    def cuts(self, interactions: Interactions, draws: Draws) -> list[Cut]:
        """One cut; drawn only without timestamps."""
        if interactions.timestamps is None:
            logger.info("leave_one_out: there are no timestamps, so the row of each user is drawn at random")
            places = drawn_places(interactions, draws.generator)
        else:
            places = _places_in_time(interactions)
        last = row_counts(interactions.users) - 1
        return [Cut((places == last) & (last > 0))]

    def remedy(self, interactions: Interactions) -> str:
        return "bring users with two interactions or more (prefiltering: user_k_core)"


@dataclass(frozen=True)
class GlobalTime:
    """Hold out the last share (`test_ratio`) of all rows by time, over all users.

    With T rows in ascending order of time, the cut is the moment of row floor(T (1 - ratio)), counted from 0, and every
    row from that moment on is held out. Rows of one moment are thus never parted: those at the cut all go to the
    held-out side, which may exceed its share.
    """

    test_ratio: float

    def cuts(self, interactions: Interactions, draws: Draws) -> list[Cut]:
        """One cut; nothing is drawn."""
        times = _times(interactions)
        place = min(int(kept_rows(np.array(len(times)), self.test_ratio, None)), len(times) - 1)
        moment = np.partition(times, place)[place]
        logger.info("global_time: held out is every row from timestamp {} on", moment)
        return [Cut(np.asarray(times >= moment))]

    def remedy(self, interactions: Interactions) -> str:
        return f"{_span(interactions)}, and those of one moment stay together: lower `test_ratio`"


@dataclass(frozen=True)
class FixedTimestamp:
    """Hold out every row from one moment on.

    `timestamp` is that moment (unix seconds), or `best`: the one that leaves the most users with at least `min_below`
    rows before it and `min_over` from it on; of several, the latest.
    """

    timestamp: int | Literal["best"]
    min_below: int = 1
    min_over: int = 1

    def cuts(self, interactions: Interactions, draws: Draws) -> list[Cut]:
        """One cut; nothing is drawn."""
        times = _times(interactions)
        moment = self._best(interactions.users, times) if self.timestamp == "best" else self.timestamp
        return [Cut(np.asarray(times >= moment))]

    def remedy(self, interactions: Interactions) -> str:
        return f"{_span(interactions)}: choose a `timestamp` after the first of these and not after the last"

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


def _span(interactions: Interactions) -> str:
    times = _times(interactions)
    return f"rows have timestamps from {times.min()} to {times.max()}"


def _places_in_time(interactions: Interactions) -> np.ndarray:
    """(T,) place of each row among its user's rows by time, item id and rating, from 0."""
    keys = (interactions.ratings, interactions.items, _times(interactions), interactions.users)
    return places_within(interactions.users, np.lexsort(keys))
