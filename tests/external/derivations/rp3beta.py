"""RP3beta: walks user -> item -> user -> item, counted path by path."""

from __future__ import annotations

from typing import Any

import numpy as np

PARAMS = {"neighborhood": 2}
CHANGES = {"neighborhood": 5, "alpha": 1.7, "beta": 0.1, "normalize_similarity": True}
VARIANTS = [
    {"neighborhood": neighborhood, "alpha": alpha, "beta": beta, "normalize_similarity": normalised}
    for neighborhood in (1, 3, 40)
    for alpha, beta in ((0.0, 0.0), (0.5, 1.2), (2.0, 0.0))
    for normalised in (False, True)
]


def scores(model: Any, case: Any) -> np.ndarray:
    params, table = model.params, np.zeros((case.n_users, case.n_items))
    users_of = [[user for user in range(case.n_users) if item in case.items_of[user]] for item in range(case.n_items)]
    for item in range(case.n_items):
        ends: dict[int, float] = {}
        for user in users_of[item]:
            for end in case.items_of[user]:
                step = (1 / len(users_of[item])) ** params.alpha * (1 / len(case.items_of[user])) ** params.alpha
                ends[end] = ends.get(end, 0.0) + step / len(users_of[end]) ** params.beta
        ends.pop(item, None)
        kept = sorted((-np.float32(value), end) for end, value in ends.items())[: params.neighborhood]
        total = sum(ends[end] for _, end in kept) if params.normalize_similarity else 1.0
        for user in users_of[item]:
            for _, end in kept:
                table[user, end] += ends[end] / total
    return table
