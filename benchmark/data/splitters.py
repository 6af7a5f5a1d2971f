"""Splitters: which interactions are held out.

`random_subsampling` follows Elliot 0.3.1 draw for draw: numpy's legacy generator, users in ascending order of their id
as a string, for each user floor(n (1 - ratio)) training flags and the rest held-out flags, shuffled, given to the
user's rows in file order. Validation is split off the training part by the same generator, which is not seeded again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from benchmark.data.interactions import Interactions
from workbench.errors import UserError


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
            kept = self._kept(count)
            drawn = np.zeros(count, dtype=bool)
            drawn[kept:] = True
            generator.shuffle(drawn)
            flags[order[start : start + count]] = drawn
            start += count
        return flags

    def _kept(self, count: int) -> int:
        if self.leave_n_out is not None:
            return max(count - self.leave_n_out, 0)
        assert self.test_ratio is not None
        return math.floor(count * (1 - self.test_ratio))


@dataclass(frozen=True)
class Parts:
    """Training, validation (None where none was asked for) and test rows of one data set."""

    train: Interactions
    validation: Interactions | None
    test: Interactions


def split(
    interactions: Interactions, test: RandomSubsampling, validation: RandomSubsampling | None, seed: int = 42
) -> Parts:
    """Split off test, then validation from what is left; rows keep their order.

    Raises
    ------
    UserError : a part came out empty.
    """
    generator = np.random.RandomState(seed)
    flags = test.held_out(interactions, generator)
    train, held_out = interactions.select(~flags), interactions.select(flags)
    held_validation = None
    if validation is not None:
        flags = validation.held_out(train, generator)
        train, held_validation = train.select(~flags), train.select(flags)
    for name, part in (("training", train), ("validation", held_validation), ("test", held_out)):
        if part is not None and len(part) == 0:
            raise UserError(
                f"the {name} split came out empty ({len(interactions)} interactions of "
                f"{len(np.unique(interactions.users))} users in all)",
                mend="change the ratios, or bring users with more interactions",
            )
    return Parts(train, held_validation, held_out)
