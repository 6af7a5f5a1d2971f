"""BPRMF: s_ui = g_u . g_i; loss = mean of -ln sigmoid(s_ui - s_uj) + l_w / (2 B) (|g_u|^2 + |g_i|^2 + |g_j|^2)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

PARAMS = {"factors": 3, "l_w": 0.05}
CHANGES = {"factors": 5, "l_w": 0.9, "compat": "mmrec"}
VARIANTS = [{"l_w": 0.0}, {"compat": "mmrec"}, {"factors": 1, "l_w": 0.3}]


def scores(model: Any, case: Any) -> np.ndarray:
    users, items = _tables(model)
    return np.array(
        [
            [sum(users[u][f] * items[i][f] for f in range(model.params.factors)) for i in range(case.n_items)]
            for u in range(case.n_users)
        ]
    )


def loss(model: Any, case: Any, batch: Any) -> float:
    users, items = _tables(model)
    table, total = scores(model, case), 0.0
    if model.params.compat == "mmrec":
        drawn = (users[batch.users], items[batch.positives], items[batch.negatives])
        total += model.params.l_w * sum(math.sqrt((each**2).sum()) for each in drawn)
    for u, i, j in zip(*(column.tolist() for column in batch), strict=True):
        total += math.log1p(math.exp(table[u, j] - table[u, i]))
        if model.params.compat is None:
            total += model.params.l_w / 2 * sum(float(vector @ vector) for vector in (users[u], items[i], items[j]))
    return total / len(batch.users)


def _tables(model: Any) -> tuple[np.ndarray, np.ndarray]:
    state = model.state_dict()
    return state["user_factors"].double().numpy(), state["item_factors"].double().numpy()
