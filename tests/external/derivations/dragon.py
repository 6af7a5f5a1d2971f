"""DRAGON: DualGNN's propagation concatenated, on graphs of co-occurring users and of similar items."""

from __future__ import annotations

from typing import Any

import numpy as np
from derivations.dual_gnn import co_occurrence, encoded, ranking, squares

PARAMS = {"factors": 3, "n_layers": 1, "n_ui_layers": 2, "top_k": 3, "top_k_users": 2, "l_w": 0.05}
CHANGES = {
    "factors": 4,
    "n_layers": 2,
    "n_ui_layers": 1,
    "top_k": 5,
    "mw": "(0.7, 0.2, 0.1)",
    "top_k_users": 4,
    "l_w": 0.9,
}
VARIANTS = [{"n_layers": 2, "n_ui_layers": 1, "l_w": 0.0}, {"top_k": 1_000_000, "top_k_users": 1_000_000}]


def scores(model: Any, case: Any) -> np.ndarray:
    weights, users, items = encoded(model, case, model.params.n_ui_layers)
    pairs = [zip(weights[u], users, strict=True) for u in range(case.n_users)]
    taste = [np.concatenate([w * h[u] for w, h in pair]) for u, pair in enumerate(pairs)]
    content = np.concatenate(items, axis=1)
    similar = item_graph(case, model.params.top_k, model.params.mw)
    near = co_occurrence(case, model.params.top_k_users)
    whole = [taste[u] + sum(share * taste[v] for v, share in near[u].items()) for u in range(case.n_users)]
    return np.array(whole) @ (content + np.linalg.matrix_power(similar, model.params.n_layers) @ content).T


def loss(model: Any, case: Any, batch: Any) -> float:
    return ranking(scores(model, case), batch) + model.params.l_w * squares(model)


def item_graph(case: Any, k: int, given: Any) -> np.ndarray:
    """The weighted sum over modalities of the normalised graphs of every item, itself and its k - 1 nearest."""
    names = list(case.features)
    default = {1: [1.0], 2: [0.9, 0.1] if names[0] == "textual" else [0.1, 0.9], 3: [1 / 3] * 3}[len(names)]
    total = np.zeros((case.n_items, case.n_items))
    for share, name in zip(given or default, names, strict=True):
        features, known = case.features[name].astype(float), np.flatnonzero(case.known[name])
        graph = np.zeros_like(total)
        for i in known:
            cosines = [
                (-features[i] @ features[j] / np.linalg.norm(features[i]) / np.linalg.norm(features[j]), j)
                for j in known
                if j != i
            ]
            for j in [i, *(j for _, j in sorted(cosines)[: k - 1])]:
                graph[i, j] = 1
        degrees = graph.sum(axis=1)
        for i in known:
            for j in known:
                total[i, j] += share * graph[i, j] / np.sqrt(degrees[i] * degrees[j])
    return total
