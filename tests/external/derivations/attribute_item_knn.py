"""AttributeItemKNN: s_ui = sum of sim(i, j) over those of i's nearest items j that u has, by cosines of features."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

PARAMS = {"neighbors": 2}
CHANGES = {"neighbors": 5, "similarity": "adjusted", "shrink": 1.5}
VARIANTS = [
    {"neighbors": neighbors, "similarity": similarity, "shrink": shrink}
    for neighbors in (1, 3, 40)
    for similarity in ("cosine", "adjusted")
    for shrink in (0.0, 2.0)
]


def scores(model: Any, case: Any) -> np.ndarray:
    trained = sorted({item for items in case.items_of for item in items})
    table = np.zeros((case.n_users, case.n_items))
    for item in range(case.n_items):
        found = [(-similarity(item, other, case, trained, model.params), other) for other in trained if other != item]
        near = sorted(each for each in found if each[0] < 0)[: model.params.neighbors]
        for negated, other in near:
            for user in range(case.n_users):
                table[user, item] -= negated * case.interactions[user, other]
    return table


def similarity(item: int, other: int, case: Any, trained: list[int], params: Any) -> float:
    """Mean over the modalities that both items have."""
    found = []
    for name, features in case.features.items():
        known, values = case.known[name], features.astype(np.float64)
        if not (known[item] and known[other]):
            continue
        if params.similarity == "adjusted":
            values = values - np.mean([values[each] for each in trained if known[each]], axis=0)
        x, y = values[item], values[other]
        found.append(float(x @ y) / (math.sqrt(float(x @ x) * float(y @ y)) + params.shrink))
    return sum(found) / len(found) if found else 0.0
