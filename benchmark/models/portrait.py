"""What a trained model shows of itself for the report, beside its scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import index

from torch import Tensor

from workbench.errors import UserError

TOPS = 12  # items of a concept that are shown
_LONGEST_NAME = 80  # characters
_MOST_CONCEPTS = 200


@dataclass(frozen=True)
class Portrait:
    """Figures, curves, a map of the items, and the items most typical of each concept.

    Attributes
    ----------
    numbers : name -> value.
    curves : name -> value of epoch 1, 2, ...; those with "loss" in their names are drawn apart from the others.
    places : name of a modality, or of whatever else is placed -> (I, 2), positions of the items in one plane that all
        entries share; an item without a place has a row of NaN.
    groups : (I,) integers, the concept of each item, numbered from 0; -1 for none. None: there are no concepts.
    tops : of each concept, the numbers of the items most typical of it, best first.
    """

    numbers: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    places: Mapping[str, Tensor] = field(default_factory=dict)
    groups: Tensor | None = None
    tops: Sequence[Sequence[int]] = ()

    def check(self, n_items: int) -> None:
        """See whether a page can show it.

        Raises
        ------
        UserError : a name that is no short text, a value that is no finite number, a size that is not that of the
            items, more than 200 concepts, a concept or an item that there is not, or an item twice among the tops.
        """
        for name in (*self.numbers, *self.curves, *self.places):
            if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME:
                raise UserError(f"the portrait has the name {name!r:.100}", mend=f"1 to {_LONGEST_NAME} characters")
        for name, number in self.numbers.items():
            _refuse_unless(math.isfinite(number), f"`numbers`: {name} is {number}")
        for name, curve in self.curves.items():
            _refuse_unless(all(map(math.isfinite, curve)), f"`curves`: {name} has values that are no finite numbers")
        for name, placed in self.places.items():
            self._check_places(name, placed, n_items)
        if self.groups is not None:
            self._check_groups(self.groups, n_items)
        _refuse_unless(len(self.tops) <= _MOST_CONCEPTS, f"`tops` has more than {_MOST_CONCEPTS} concepts")
        for concept, items in enumerate(self.tops):
            top = [index(item) for item in items]
            inside = all(0 <= item < n_items for item in top)
            _refuse_unless(inside, f"`tops`: concept {concept} has an item that is not among the {n_items}")
            _refuse_unless(len(set(top)) == len(top), f"`tops`: concept {concept} has an item twice")

    def _check_places(self, name: str, placed: Tensor, n_items: int) -> None:
        shape = tuple(placed.shape)
        _refuse_unless(shape == (n_items, 2), f"`places`: {name} is {shape}, not ({n_items}, 2)")
        whole = placed.isfinite().all(dim=1) | placed.isnan().all(dim=1)
        _refuse_unless(bool(whole.all()), f"`places`: {name} has rows that are neither finite nor all NaN")

    def _check_groups(self, groups: Tensor, n_items: int) -> None:
        shape = tuple(groups.shape)
        _refuse_unless(shape == (n_items,), f"`groups` is {shape}, not ({n_items},)")
        _refuse_unless(not groups.is_floating_point() and not groups.is_complex(), "`groups` is not of integers")
        if n_items == 0:
            return
        least, most = int(groups.min()), int(groups.max())
        _refuse_unless(least >= -1, f"`groups` has {least}; -1 is for an item without a concept")
        _refuse_unless(most < _MOST_CONCEPTS, f"`groups` has more than {_MOST_CONCEPTS} concepts")
        known = len(self.tops) == 0 or most < len(self.tops)
        _refuse_unless(known, f"`groups` has the concept {most}, and `tops` knows {len(self.tops)} from 0")


def _refuse_unless(right: bool, what: str) -> None:
    if not right:
        raise UserError(f"the portrait cannot be shown: {what}", mend="mend `portrait` of the model")
