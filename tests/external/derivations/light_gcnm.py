"""LightGCNM: LightGCN on nodes that are trained for users and projected features for items, by the dense adjacency."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

PARAMS = {"factors": 3, "n_layers": 2, "l_w": 0.05}
CHANGES = {"factors": 5, "n_layers": 3, "l_w": 0.9, "aggregation": "mean"}
VARIANTS = [{"aggregation": "mean"}, {"aggregation": "sum", "n_layers": 1}, {"n_layers": 3, "l_w": 0.0}]


def scores(model: Any, case: Any) -> np.ndarray:
    nodes = _propagated(_start(model, case), case, model.params.n_layers)
    return nodes[: case.n_users] @ nodes[case.n_users :].T


def loss(model: Any, case: Any, batch: Any) -> float:
    start, table, total = _start(model, case), scores(model, case), 0.0
    for u, i, j in zip(*(column.tolist() for column in batch), strict=True):
        total += math.log1p(math.exp(table[u, j] - table[u, i]))
        rows = (start[u], start[case.n_users + i], start[case.n_users + j])
        total += model.params.l_w / 2 * sum(float(row @ row) for row in rows)
    return total / len(batch.users)


def _start(model: Any, case: Any) -> np.ndarray:
    state = {name: value.double().numpy() for name, value in model.state_dict().items()}
    items = []
    for item in range(case.n_items):
        views = []
        for place, (name, features) in enumerate(case.features.items()):
            weight, bias = state[f"projections.maps.{place}.weight"], state[f"projections.maps.{place}.bias"]
            view = weight @ features[item].astype(np.float64) + bias
            views.append(view / np.linalg.norm(view) if case.known[name][item] else None)
        known = [view for view in views if view is not None]
        zeros = np.zeros(model.params.factors)
        if model.params.aggregation == "concat":
            items.append(np.concatenate([zeros if view is None else view for view in views]))
        elif model.params.aggregation == "sum":
            items.append(sum(known, zeros))
        else:
            items.append(sum(known, zeros) / max(len(known), 1))
    return np.concatenate([state["user_factors"], np.array(items)])


def _propagated(nodes: np.ndarray, case: Any, n_layers: int) -> np.ndarray:
    n_nodes = case.n_users + case.n_items
    adjacency = np.zeros((n_nodes, n_nodes))
    degrees = np.concatenate([case.interactions.sum(1), case.interactions.sum(0)])
    for user, items in enumerate(case.items_of):
        for item in items:
            weight = 1 / math.sqrt(degrees[user] * degrees[case.n_users + item])
            adjacency[user, case.n_users + item] = adjacency[case.n_users + item, user] = weight
    layers = [nodes]
    for _ in range(n_layers):
        layers.append(adjacency @ layers[-1])
    return np.mean(layers, axis=0)
