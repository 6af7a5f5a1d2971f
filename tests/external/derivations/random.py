"""Random: splitmix64 of (seed, user, item), in Python's unbounded integers."""

from __future__ import annotations

from typing import Any

import numpy as np

PARAMS: dict[str, Any] = {}
CHANGES: dict[str, Any] = {}
VARIANTS = [{"seed": 0}, {"seed": -5}, {"seed": 2**40}]

_WORD = 2**64
_GOLDEN = 0x9E3779B97F4A7C15


def _mixed(state: int) -> int:
    state %= _WORD
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % _WORD
    state = (state ^ (state >> 27)) * 0x94D049BB133111EB % _WORD
    return state ^ (state >> 31)


def scores(model: Any, case: Any) -> np.ndarray:
    """The upper 24 bits of mix(mix(u + seed g) + i g), read as a signed number."""
    table = np.empty((case.n_users, case.n_items))
    for user in range(case.n_users):
        for item in range(case.n_items):
            upper = _mixed(_mixed(user + model.params.seed * _GOLDEN) + item * _GOLDEN) >> 40
            table[user, item] = upper - 2**24 if upper >= 2**23 else upper
    return table
