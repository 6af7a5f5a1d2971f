"""VBPR of its authors: s_ui = b_i + g_u . g_i + t_u . (E f_i) + b' . f_i."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

PARAMS = {"factors": 3, "factors_d": 2, "l_w": 0.05, "l_b": 0.02, "l_e": 0.01}
CHANGES = {"factors": 5, "factors_d": 4, "l_w": 0.9, "l_b": 0.7, "l_e": 0.5}
VARIANTS = [{"l_w": 0.0, "l_b": 0.0, "l_e": 0.0}, {"l_w": 0.0, "l_b": 0.3}, {"l_w": 0.0, "l_b": 0.0, "l_e": 0.4}]


def scores(model: Any, case: Any) -> np.ndarray:
    state = _state(model)
    embedding, visual_bias = state["embedding"], state["feature_bias"][:, 0]
    table = np.zeros((case.n_users, case.n_items))
    scale = {name: _root_mean_square(features, case.known[name]) for name, features in case.features.items()}
    for i in range(case.n_items):
        row = [float(value) / scale[name] for name, features in case.features.items() for value in features[i]]
        seen = [sum(row[d] * embedding[d, k] for d in range(len(row))) for k in range(embedding.shape[1])]
        for u in range(case.n_users):
            table[u, i] = (
                state["item_biases"][i]
                + state["user_factors"][u] @ state["item_factors"][i]
                + sum(state["user_tastes"][u, k] * seen[k] for k in range(len(seen)))
                + sum(visual_bias[d] * row[d] for d in range(len(row)))
            )
    return table


def loss(model: Any, case: Any, batch: Any) -> float:
    state, params, table, total = _state(model), model.params, scores(model, case), 0.0
    for u, i, j in zip(*(column.tolist() for column in batch), strict=True):
        total += math.log1p(math.exp(table[u, j] - table[u, i]))
        items = state["item_factors"]
        vectors = (state["user_factors"][u], state["user_tastes"][u], items[i], items[j])
        total += params.l_w / 2 * sum(float(vector @ vector) for vector in vectors)
        total += params.l_b / 2 * sum(state["item_biases"][item] ** 2 for item in (i, j))
    maps = sum(float((state[name] ** 2).sum()) for name in ("embedding", "feature_bias"))
    return total / len(batch.users) + params.l_e / 2 * maps


def _root_mean_square(features: np.ndarray, known: np.ndarray) -> float:
    """Of the lengths of the rows of items that have features."""
    lengths = [
        math.sqrt(sum(float(value) ** 2 for value in row)) for row, there in zip(features, known, strict=True) if there
    ]
    return math.sqrt(sum(length**2 for length in lengths) / len(lengths))


def _state(model: Any) -> dict[str, np.ndarray]:
    return {name: value.double().numpy() for name, value in model.state_dict().items()}
