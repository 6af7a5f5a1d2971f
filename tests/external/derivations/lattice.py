"""LATTICE: item graphs of raw and of projected features, mixed by trained weights; neighbours by the present ones."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

PARAMS = {"factors": 3, "factors_multimod": 4, "n_layers": 1, "n_ui_layers": 2, "top_k": 4, "l_m": 0.6, "l_w": 0.05}
CHANGES = {
    "factors": 5,
    "factors_multimod": 2,
    "n_layers": 2,
    "n_ui_layers": 1,
    "top_k": 2,
    "l_m": 0.2,
    "l_w": 0.9,
    "compat": "elliot",
}
VARIANTS = [
    {"n_layers": 3, "n_ui_layers": 1},
    {"top_k": 40, "l_m": 0.0},
    {"compat": "trainable_features"},
    {"compat": "elliot", "n_ui_layers": 3},
]


def scores(model: Any, case: Any) -> np.ndarray:
    users, items = _vectors(model, case)
    return np.array([[users[u] @ items[i] for i in range(case.n_items)] for u in range(case.n_users)])


def loss(model: Any, case: Any, batch: Any) -> float:
    users, items = _vectors(model, case)
    total = 0.0
    for u, i, j in zip(*(column.tolist() for column in batch), strict=True):
        total += math.log1p(math.exp(users[u] @ items[j] - users[u] @ items[i]))
        total += model.params.l_w / 2 * sum(float(vector @ vector) for vector in (users[u], items[i], items[j]))
    return total / len(batch.users)


def _vectors(model: Any, case: Any) -> tuple[np.ndarray, np.ndarray]:
    state = {name: value.double().numpy() for name, value in model.state_dict().items()}
    params = model.params
    weights = np.exp(state["modality_weights"]) / np.exp(state["modality_weights"]).sum()
    graph = np.zeros((case.n_items, case.n_items))
    for place, (name, raw) in enumerate(case.features.items()):
        values = state.get(f"projections.values.{place}", raw.astype(np.float64))
        projected = values @ state[f"projections.maps.{place}.weight"].T + state[f"projections.maps.{place}.bias"]
        initial = _graph(raw.astype(np.float64), case.known[name], params.top_k)
        learned = _graph(projected, case.known[name], params.top_k)
        graph += weights[place] * (params.l_m * initial + (1 - params.l_m) * learned)
    content = state["item_factors"]
    for _ in range(params.n_layers):
        content = graph @ content

    n_users, n_items = case.n_users, case.n_items
    quirk = params.compat == "elliot"
    adjacency = np.eye(n_users + n_items) if quirk else np.zeros((n_users + n_items, n_users + n_items))
    for u, i in zip(*np.nonzero(case.interactions), strict=True):
        adjacency[u, n_users + i] = adjacency[n_users + i, u] = 1
    adjacency = _divided(adjacency, 1.0 if quirk else 0.5)
    layer = np.concatenate([state["user_factors"], state["item_factors"]])
    layers = [layer]
    for _ in range(params.n_ui_layers):
        layer = adjacency @ layer
        layers.append(_directions(layer) if quirk else layer)
    nodes = np.mean(layers, axis=0)
    return nodes[:n_users], nodes[n_users:] + _directions(content)


def _graph(features: np.ndarray, known: np.ndarray, k: int) -> np.ndarray:
    """Edges from every item with features to itself, weighing 1, and to its k - 1 nearest, weighing their cosine."""
    graph = np.zeros((len(features), len(features)))
    items = [item for item in range(len(features)) if known[item]]
    for item in items:
        cosine = {
            other: features[item] @ features[other] / np.linalg.norm(features[item]) / np.linalg.norm(features[other])
            for other in items
            if other != item
        }
        graph[item, item] = 1
        for other in sorted(cosine, key=cosine.__getitem__, reverse=True)[: k - 1]:
            graph[item, other] = max(0.0, cosine[other])
    return _divided(graph, 0.5)


def _divided(matrix: np.ndarray, power: float) -> np.ndarray:
    """Every entry divided by a power of both degrees."""
    degrees, result = matrix.sum(1), np.zeros_like(matrix)
    for row, column in zip(*np.nonzero(matrix), strict=True):
        result[row, column] = matrix[row, column] / (degrees[row] * degrees[column]) ** power
    return result


def _directions(vectors: np.ndarray) -> np.ndarray:
    return np.array([vector / np.linalg.norm(vector) if vector.any() else vector for vector in vectors])
