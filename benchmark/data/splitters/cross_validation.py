"""Cross-validation: every row is held out in exactly one fold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmark.data.interactions import Interactions
from benchmark.data.splitters.base import Cut, Draws
from benchmark.data.splitters.ordering import drawn_keys, places_within
from workbench.arrays import stable_argsort


@dataclass(frozen=True)
class RandomCrossValidation:
    """Elliot's `random_cross_validation`, which draws nothing: the j-th row of a user (from 0, in file order) is held
    out in fold j mod `folds`. Users with fewer rows than folds are held out in the first folds only."""

    folds: int

    def cuts(self, interactions: Interactions, draws: Draws) -> list[Cut]:
        """One cut a fold; nothing is drawn."""
        order = stable_argsort(interactions.users)
        return _dealt(places_within(interactions.users, order), self.folds)

    def remedy(self, interactions: Interactions) -> str:
        return f"lower `folds` (here {self.folds}): a fold is empty where no user has as many rows"


@dataclass(frozen=True)
class RandomKFold:
    """Folds at random: users in a random order, the rows of each in a random order, dealt out to the folds in turn.

    The shares of a user differ by at most one row between folds, and so do the folds.
    """

    folds: int

    def cuts(self, interactions: Interactions, draws: Draws) -> list[Cut]:
        """One cut a fold."""
        ranks = draws.generator.permutation(len(interactions.user_ids))
        order = np.lexsort((drawn_keys(interactions, draws.generator), ranks[interactions.users]))
        turns = np.empty(len(order), dtype=np.int64)
        turns[order] = np.arange(len(order))
        return _dealt(turns, self.folds)

    def remedy(self, interactions: Interactions) -> str:
        return f"lower `folds` (here {self.folds}), or bring more interactions"


def _dealt(turns: np.ndarray, folds: int) -> list[Cut]:
    return [Cut(turns % folds == fold) for fold in range(folds)]
