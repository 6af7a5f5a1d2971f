"""VBPR, the multimodal variant: s_ui = g_u . g_i + t_u . p_i, p_i the normalised projection of all of i's features."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

PARAMS = {"factors": 3, "l_w": 0.05}
CHANGES = {"factors": 5, "l_w": 0.9, "compat": "normal_theta"}
VARIANTS = [{"l_w": 0.0}, {"compat": "normal_theta"}]


def scores(model: Any, case: Any) -> np.ndarray:
    g_u, g_i, t_u, p_i = _vectors(model, case)
    return np.array([[g_u[u] @ g_i[i] + t_u[u] @ p_i[i] for i in range(case.n_items)] for u in range(case.n_users)])


def loss(model: Any, case: Any, batch: Any) -> float:
    g_u, g_i, t_u, p_i = _vectors(model, case)
    table, total = scores(model, case), 0.0
    for u, i, j in zip(*(column.tolist() for column in batch), strict=True):
        total += math.log1p(math.exp(table[u, j] - table[u, i]))
        vectors = (g_u[u], g_i[i], g_i[j], t_u[u], p_i[i], p_i[j])
        total += model.params.l_w / 2 * sum(float(vector @ vector) for vector in vectors)
    return total / len(batch.users)


def _vectors(model: Any, case: Any) -> tuple[np.ndarray, ...]:
    """g_u, g_i, t_u and p_i, the last by loops over the concatenated features; zeros where an item has none."""
    state = {name: value.double().numpy() for name, value in model.state_dict().items()}
    weight, bias = state["projection.weight"], state["projection.bias"]
    views = np.zeros((case.n_items, len(bias)))
    for item in range(case.n_items):
        if not any(known[item] for known in case.known.values()):
            continue
        row = [float(value) for features in case.features.values() for value in features[item]]
        projected = [sum(w * f for w, f in zip(weight[k], row, strict=True)) + bias[k] for k in range(len(bias))]
        length = math.sqrt(sum(value * value for value in projected))
        views[item] = [value / length for value in projected]
    return state["user_factors"], state["item_factors"], state["user_tastes"], views
