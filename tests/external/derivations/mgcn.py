"""MGCN, node by node: views gated by behaviour, what they share, and what is each modality's own."""

from __future__ import annotations

from typing import Any

import numpy as np
from derivations._side_views import (
    behaviour,
    drawn_nodes,
    known_nodes,
    linear,
    projected,
    purified_view,
    side_loss,
    sigmoid,
    similar_items,
    softmax,
    state_of,
)

PARAMS = {"factors": 3, "top_k": 3, "l_w": 0.05, "c_l": 0.3}
CHANGES = {
    "factors": 5,
    "n_ui_layers": 1,
    "n_layers": 2,
    "top_k": 4,
    "l_w": 2.0,
    "c_l": 2.0,
    "temperature": 0.7,
}
VARIANTS = [{"n_ui_layers": 3, "n_layers": 2, "top_k": 2}, {"c_l": 0.0}, {"top_k": 50, "temperature": 1.0}]


def scores(model: Any, case: Any) -> np.ndarray:
    b, h = _vectors(model, case)
    nodes = b + h
    return nodes[: case.n_users] @ nodes[case.n_users :].T


def loss(model: Any, case: Any, batch: Any) -> float:
    nodes = drawn_nodes(case, batch)
    b, h = _vectors(model, case)
    return side_loss(model.params, b[nodes], h[nodes], known_nodes(case).any(1)[nodes])


def _vectors(model: Any, case: Any) -> tuple[np.ndarray, np.ndarray]:
    state, params = state_of(model), model.params
    b, known = behaviour(case, state, params.n_ui_layers), known_nodes(case)
    views = [
        purified_view(case, state, place, signal, similar_items(case, name, params.top_k), params.n_layers)
        for place, (name, signal) in enumerate(zip(case.features, projected(case, state), strict=True))
    ]
    if len(views) == 1:
        return b, views[0]
    h = np.zeros_like(b)
    for node in range(len(b)):
        there = [place for place in range(len(views)) if known[node, place]]
        if not there:
            continue
        scores = [linear(state, "attention.2", np.tanh(linear(state, "attention.0", views[m][node]))) for m in there]
        attention = softmax(np.array(scores)[:, 0])
        shared = sum(a * views[m][node] for a, m in zip(attention, there, strict=True))
        own = [sigmoid(linear(state, f"preferences.{m}", b[node])) * (views[m][node] - shared) for m in there]
        h[node] = shared + sum(own) / len(views)
    return b, h
