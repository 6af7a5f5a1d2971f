"""Cold start: users, or items, that stand with none of their rows in training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmark.data.interactions import Interactions
from benchmark.data.splitters.base import Cut, Draws
from benchmark.data.splitters.ordering import drawn_places, number_of, row_counts, share_of


@dataclass(frozen=True)
class UserColdStart:
    """Hold out whole users (strong generalisation): a part of their rows is shown, the rest is to be found.

    `users` below 1 is a share of all users, floor(share U), else a number of users. A held-out user with
    n >= `min_rows` rows has floor((1 - fold_in) n) of them, drawn at random, to be found, and shows the others; one
    with fewer rows shows all of them and has none to find. Items stay as they are: those that only held-out users
    have are held-out rows without training rows (the recipe `MultVAE` drops them).

    Source: Marlin 2004, and the protocol of Liang et al. 2018 (Mult-VAE).
    """

    users: float
    fold_in: float = 0.8
    min_rows: int = 5

    def cuts(self, interactions: Interactions, draws: Draws) -> list[Cut]:
        """One cut with shown rows."""
        shuffled = draws.generator.permutation(np.unique(interactions.users))
        kept = max(len(shuffled) - number_of(len(shuffled), self.users), 0)
        cold = np.isin(interactions.users, shuffled[kept:])
        wanted = wanted_rows(row_counts(interactions.users), self.fold_in, self.min_rows)
        targets = cold & (drawn_places(interactions, draws.generator) < wanted)
        return [Cut(targets, cold & ~targets)]

    def remedy(self, interactions: Interactions) -> str:
        return (
            f"hold out more `users`, or fewer (here {self.users:g}), and at least one with `min_rows` rows "
            f"(here {self.min_rows})"
        )


@dataclass(frozen=True)
class ItemColdStart:
    """Hold out a share of the items (`items`) with every one of their rows, stratified by popularity.

    The I items are sorted by number of rows (then id) and cut at floor(k I / strata) for k = 0 ... strata. From the
    stratum [a, b) floor(items b) - floor(items a) items are drawn at random: within one of its share in each stratum,
    floor(items I) in all.
    """

    items: float
    strata: int = 10

    def cuts(self, interactions: Interactions, draws: Draws) -> list[Cut]:
        """One cut."""
        counts = np.bincount(interactions.items)
        there = np.flatnonzero(counts)
        by_popularity = there[np.argsort(counts[there], kind="stable")]
        bounds = np.arange(self.strata + 1) * len(there) // self.strata
        numbers = np.diff(share_of(bounds, self.items))
        strata = np.repeat(np.arange(self.strata), np.diff(bounds))
        order = np.lexsort((draws.generator.random(len(there)), strata))
        drawn = np.arange(len(there)) - bounds[strata] < numbers[strata]
        return [Cut(np.isin(interactions.items, by_popularity[order[drawn]]))]

    def remedy(self, interactions: Interactions) -> str:
        items = len(np.unique(interactions.items))
        return f"hold out at least one of the {items} items, and not all: change `items` (here {self.items:g})"


def wanted_rows(counts: np.ndarray, fold_in: float, min_rows: int) -> np.ndarray:
    """Rows to be found of held-out users with `counts` rows: n - ceil(fold_in n), none below `min_rows`."""
    shown = -share_of(-counts, fold_in)
    return np.where(counts >= min_rows, counts - shown, 0)
