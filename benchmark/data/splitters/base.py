"""What a splitter owes, and how two of them, one inside the other, make training, validation and test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np

from benchmark.data.interactions import Interactions
from workbench.errors import UserError


class Draws:
    """The two generators of one split, both seeded once: each rule draws on where the one before it stopped.

    `legacy` is the generator of Elliot's published splits, `generator` that of all other rules.
    """

    def __init__(self, seed: int) -> None:
        self.legacy = np.random.RandomState(seed)
        self.generator = np.random.default_rng(seed)


class Cut(NamedTuple):
    """One way to hold rows out.

    held_out : (T,) bool, true for rows that are to be found.
    shown : (T,) bool, true for rows of held-out users that a model is shown instead (fold-in); None without such users.
    Rows that are neither stay in training.
    """

    held_out: np.ndarray
    shown: np.ndarray | None = None


class Splitter(Protocol):
    """A rule that holds out rows."""

    def cuts(self, interactions: Interactions, draws: Draws) -> list[Cut]:
        """One cut a fold."""

    def remedy(self, interactions: Interactions) -> str:
        """What to change where a cut of these rows leaves a part empty."""


@dataclass(frozen=True)
class Parts:
    """Training, validation (None where none was asked for) and test rows of one data set.

    The inputs are rows of users without training rows that a model is shown before it recommends to them (fold-in).
    `items` are the ids of a catalogue, where one is given: some of its items may stand in no row.
    """

    train: Interactions
    validation: Interactions | None
    test: Interactions
    validation_input: Interactions | None = None
    test_input: Interactions | None = None
    items: np.ndarray | None = field(default=None, kw_only=True)


class Recipe(Protocol):
    """A published protocol that makes all parts at once."""

    def parts(self, interactions: Interactions, seed: int) -> Parts:
        """The parts; rows keep their order."""


class Held(NamedTuple):
    """Rows after one cut: what stays, what is to be found, and what held-out users show (None without such users)."""

    rest: Interactions
    held_out: Interactions
    shown: Interactions | None


def hold_out(interactions: Interactions, rule: Splitter, draws: Draws, part: str) -> list[Held]:
    """Apply the rule of one part (`test` or `validation`); one entry a fold, rows keep their order.

    Raises
    ------
    UserError : nothing is held out, or nothing stays for training.
    """
    folds = []
    for held_out, shown in rule.cuts(interactions, draws):
        rest = ~held_out if shown is None else ~(held_out | shown)
        for name, rows in (("training", rest), (part, held_out)):
            if not rows.any():
                raise _empty(name, interactions, rule.remedy(interactions))
        input_rows = None if shown is None else interactions.select(shown)
        folds.append(Held(interactions.select(rest), interactions.select(held_out), input_rows))
    return folds


def split_folds(
    interactions: Interactions, test: Splitter, validation: Splitter | None, seed: int = 42
) -> list[list[Parts]]:
    """Hold out test, then validation from what each test fold leaves; `[test fold][validation fold]`.

    All test folds are drawn first, then the validation folds inside each in turn. Rows keep their order.

    Raises
    ------
    UserError : a part came out empty.
    """
    draws = Draws(seed)
    folds = []
    for outer in hold_out(interactions, test, draws, "test"):
        if validation is None:
            folds.append([Parts(outer.rest, None, outer.held_out, test_input=outer.shown)])
            continue
        inner_folds = hold_out(outer.rest, validation, draws, "validation")
        folds.append(
            [Parts(inner.rest, inner.held_out, outer.held_out, inner.shown, outer.shown) for inner in inner_folds]
        )
    return folds


def split(interactions: Interactions, test: Splitter, validation: Splitter | None, seed: int = 42) -> Parts:
    """`split_folds` where there is one fold of each.

    Raises
    ------
    UserError : a part came out empty, or the rules make several folds.
    """
    return only_fold(split_folds(interactions, test, validation, seed))


def only_fold(folds: Sequence[Sequence[Parts]]) -> Parts:
    """The parts of the only fold; `UserError` if there are several."""
    if len(folds) > 1 or len(folds[0]) > 1:
        raise UserError(
            f"the splitting makes {len(folds)} x {len(folds[0])} folds (test x validation) where one split is expected",
            mend="let run_split.py write the folds, or choose a splitting without `folds`",
        )
    return folds[0][0]


def checked(parts: Parts, interactions: Interactions, remedy: str) -> Parts:
    """The parts that a recipe cut from `interactions`, as they came.

    Raises
    ------
    UserError : one of them is empty.
    """
    for name, part in (("training", parts.train), ("validation", parts.validation), ("test", parts.test)):
        if part is not None and len(part) == 0:
            raise _empty(name, interactions, remedy)
    return parts


def _empty(name: str, interactions: Interactions, remedy: str) -> UserError:
    users = len(np.unique(interactions.users))
    return UserError(
        f"the {name} split came out empty (cut from {len(interactions):,} interactions of {users:,} users)", mend=remedy
    )
