"""Random: the floor of every table."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmark.models.base import Histories, Params, Recommender, Scorer, TrainingData

_MULTIPLIERS = (
    -4658895280553007687,
    -7723592293110705685,
)  # of splitmix64 (Steele et al., OOPSLA 2014), as signed 64-bit
_GOLDEN = -7046029254386353131


class Random(Recommender):
    """Scores that hash (seed, user number, item number): the same whatever the order and blocks of the asking."""

    def __init__(self, params: Params, data: TrainingData) -> None:
        super().__init__()
        self._offset = torch.tensor(params.seed, device=data.device) * _GOLDEN  # wraps around, as wanted
        self._items = torch.arange(data.n_items, device=data.device)

    def scorer(self) -> Scorer:
        return self._hash

    def fold_in_scorer(self, histories: Histories) -> Scorer:
        return self._hash

    def _hash(self, users: Tensor) -> Tensor:
        state = _mix(_mix(users + self._offset)[:, None] + self._items * _GOLDEN)
        return (state >> 40).float()


def _mix(state: Tensor) -> Tensor:
    for shift, factor in zip((30, 27), _MULTIPLIERS, strict=True):
        state = (state ^ _shift_right(state, shift)) * factor
    return state ^ _shift_right(state, 31)


def _shift_right(state: Tensor, places: int) -> Tensor:
    """Logical shift; torch's is arithmetic for signed integers."""
    return (state >> places) & ((1 << (64 - places)) - 1)
