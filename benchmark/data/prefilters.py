"""Prefilters: which interactions take part at all. Elliot's seven, in array code, applied one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

import numpy as np
from loguru import logger

from benchmark.data.interactions import Interactions
from workbench.arrays import used_codes
from workbench.errors import UserError


class Prefilter(Protocol):
    """A rule that keeps rows; `remedy` is what to change where it keeps none."""

    remedy: ClassVar[str]

    def kept(self, interactions: Interactions) -> np.ndarray:
        """(T,) bool, true for rows that stay."""


@dataclass(frozen=True)
class GlobalThreshold:
    """Rows with a rating of at least `threshold`, a number or the mean of all ratings (`average`)."""

    threshold: float | Literal["average"]
    remedy: ClassVar[str] = "lower its `threshold`"

    def kept(self, interactions: Interactions) -> np.ndarray:
        bar = interactions.ratings.mean() if self.threshold == "average" else self.threshold
        return np.asarray(interactions.ratings >= bar)


@dataclass(frozen=True)
class UserAverage:
    """Rows with a rating of at least their user's mean."""

    remedy: ClassVar[str] = "remove it"

    def kept(self, interactions: Interactions) -> np.ndarray:
        counts = np.bincount(interactions.users)
        means = np.bincount(interactions.users, weights=interactions.ratings) / np.maximum(counts, 1)
        return np.asarray(interactions.ratings >= means[interactions.users])


@dataclass(frozen=True)
class KCore:
    """Rows of users with at least `user_core` rows and of items with at least `item_core`, `rounds` times over.

    Within a round users come first, then items among what is left; None repeats until nothing changes.
    """

    user_core: int
    item_core: int
    rounds: int | None = 1
    remedy: ClassVar[str] = "lower its `core`"

    def kept(self, interactions: Interactions) -> np.ndarray:
        alive = np.ones(len(interactions), dtype=bool)
        done = 0
        while self.rounds is None or done < self.rounds:
            before = int(alive.sum())
            for ids, core in ((interactions.users, self.user_core), (interactions.items, self.item_core)):
                alive &= np.bincount(ids[alive], minlength=int(ids.max(initial=0)) + 1)[ids] >= core
            done += 1
            if int(alive.sum()) == before:
                break
        return alive


@dataclass(frozen=True)
class ColdUsers:
    """Rows of users with at most `threshold` rows."""

    threshold: int
    remedy: ClassVar[str] = "raise its `threshold`: users with more rows leave"

    def kept(self, interactions: Interactions) -> np.ndarray:
        return np.asarray(np.bincount(interactions.users)[interactions.users] <= self.threshold)


def apply_prefilters(interactions: Interactions, prefilters: Sequence[tuple[str, Prefilter]]) -> Interactions:
    """Apply named prefilters in order; each one's effect is printed.

    Raises
    ------
    UserError : nothing is left.
    """
    for name, prefilter in prefilters:
        before = _counts(interactions)
        interactions = interactions.select(prefilter.kept(interactions))
        if len(interactions) == 0:
            raise UserError(f"the prefilter {name} left no interaction", mend=prefilter.remedy)
        logger.info("prefilter {}: {} -> {}", name, before, _counts(interactions))
    return interactions


def _counts(interactions: Interactions) -> str:
    users, items = len(used_codes(interactions.users)), len(used_codes(interactions.items))
    return f"{len(interactions):,} interactions of {users:,} users on {items:,} items"
