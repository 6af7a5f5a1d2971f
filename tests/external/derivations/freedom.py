"""FREEDOM: LightGCN on a sampled graph in training and on the whole one for scores, plus a frozen graph of items."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

PARAMS = {"factors": 3, "n_layers": 1, "n_ui_layers": 2, "top_k": 3, "drop": 0.4, "l_w": 0.3}
CHANGES = {
    "factors": 5,
    "n_layers": 2,
    "n_ui_layers": 1,
    "top_k": 5,
    "mw": "(0.2, 0.7, 0.4)",
    "drop": 0.7,
    "l_w": 0.9,
    "compat": "trainable_features",
}
VARIANTS = [
    {"n_layers": 3, "n_ui_layers": 1},
    {"drop": 0.0, "top_k": 1},
    {"top_k": 40, "drop": 0.8},
    {"l_w": 0.9, "compat": "trainable_features"},
]


def scores(model: Any, case: Any) -> np.ndarray:
    users, items = _propagated(model, case, case.interactions)
    return np.array([[users[u] @ items[i] for i in range(case.n_items)] for u in range(case.n_users)])


def loss(model: Any, case: Any, batch: Any) -> float:
    sampled = np.zeros_like(case.interactions)
    for u, i in zip(model.sampled.users.tolist(), model.sampled.items.tolist(), strict=True):
        sampled[u, i] = 1
    kept = round((1 - model.params.drop) * case.interactions.sum())
    assert sampled.sum() == kept and (sampled <= case.interactions).all()
    users, items = _propagated(model, case, sampled)
    views, total = _views(model, case), 0.0
    for u, i, j in zip(*(column.tolist() for column in batch), strict=True):
        total += math.log1p(math.exp(users[u] @ items[j] - users[u] @ items[i]))
        for name, view in views.items():
            if case.known[name][i] and case.known[name][j]:
                total += model.params.l_w * math.log1p(math.exp(users[u] @ view[j] - users[u] @ view[i]))
    return total / len(batch.users)


def _propagated(model: Any, case: Any, interactions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    state = {name: value.double().numpy() for name, value in model.state_dict().items()}
    adjacency = np.block([
        [np.zeros((case.n_users, case.n_users)), interactions],
        [interactions.T, np.zeros((case.n_items, case.n_items))],
    ])  # fmt: skip
    adjacency = _divided_by_root_degrees(adjacency)
    layers = [np.concatenate([state["user_factors"], state["item_factors"]])]
    for _ in range(model.params.n_ui_layers):
        layers.append(adjacency @ layers[-1])
    mean = np.mean(layers, axis=0)
    content = state["item_factors"]
    graph = np.zeros((case.n_items, case.n_items))
    for name, weight in _weights(case).items():
        graph += weight * _graph(case, name, model.params.top_k)
    for _ in range(model.params.n_layers):
        content = graph @ content
    return mean[: case.n_users], mean[case.n_users :] + content


def _weights(case: Any) -> dict[str, float]:
    if set(case.features) == {"visual", "textual"}:
        return {"visual": 0.1, "textual": 0.9}
    return {name: 1 / len(case.features) for name in case.features}


def _graph(case: Any, name: str, k: int) -> np.ndarray:
    """An edge from every item with features to itself and to its k - 1 nearest."""
    graph = np.zeros((case.n_items, case.n_items))
    known = [item for item in range(case.n_items) if case.known[name][item]]
    features = case.features[name].astype(np.float64)
    for item in known:
        cosine = {
            other: features[item] @ features[other] / np.linalg.norm(features[item]) / np.linalg.norm(features[other])
            for other in known
            if other != item
        }
        graph[item, [item, *sorted(cosine, key=cosine.__getitem__, reverse=True)[: k - 1]]] = 1
    return _divided_by_root_degrees(graph)


def _divided_by_root_degrees(matrix: np.ndarray) -> np.ndarray:
    result = np.zeros_like(matrix)
    degrees = matrix.sum(1)
    for row, column in zip(*np.nonzero(matrix), strict=True):
        if degrees[column] > 0:
            result[row, column] = matrix[row, column] / math.sqrt(degrees[row] * degrees[column])
    return result


def _views(model: Any, case: Any) -> dict[str, np.ndarray]:
    """The projections of each modality."""
    state = {name: value.double().numpy() for name, value in model.state_dict().items()}
    views = {}
    for place, (name, features) in enumerate(case.features.items()):
        values = state.get(f"projections.values.{place}", features.astype(np.float64))
        views[name] = values @ state[f"projections.maps.{place}.weight"].T + state[f"projections.maps.{place}.bias"]
    return views
