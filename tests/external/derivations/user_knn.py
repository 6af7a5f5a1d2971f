"""UserKNN: s_ui = sum of sim(u, v) over those of u's nearest users v that have i; users as rows of the dense R."""

from __future__ import annotations

from typing import Any

import numpy as np
from derivations.item_knn import CHANGES, PARAMS, VARIANTS, nearest

__all__ = ["CHANGES", "PARAMS", "VARIANTS", "scores"]


def scores(model: Any, case: Any) -> np.ndarray:
    table, users = np.zeros((case.n_users, case.n_items)), list(case.interactions)
    for user, row in enumerate(users):
        for other, value in nearest(row, users, model.params, without=user).items():
            for item in case.items_of[other]:
                table[user, item] += value
    return table
