"""What a splitter owes, and how two of them make training, validation and test."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from benchmark.data.interactions import Interactions
from workbench.errors import UserError


class Splitter(Protocol):
    """A rule that holds out rows."""

    def held_out(self, interactions: Interactions, generator: np.random.RandomState) -> np.ndarray:
        """(T,) bool, true for held-out rows."""


def kept_rows(count: int, test_ratio: float | None, leave_n_out: int | None) -> int:
    """Training rows of a user with `count` rows: floor(count (1 - ratio)), or all but n."""
    if leave_n_out is not None:
        return max(count - leave_n_out, 0)
    assert test_ratio is not None
    return math.floor(count * (1 - test_ratio))


@dataclass(frozen=True)
class Parts:
    """Training, validation (None where none was asked for) and test rows of one data set.

    The inputs are rows of users without training rows that a model is shown before it recommends to them (fold-in).
    """

    train: Interactions
    validation: Interactions | None
    test: Interactions
    validation_input: Interactions | None = None
    test_input: Interactions | None = None


def split(interactions: Interactions, test: Splitter, validation: Splitter | None, seed: int = 42) -> Parts:
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
