"""SGL: LightGCN, and InfoNCE between the vectors from two parts of the graph, against all users and all items."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from literal_graphs import adjacency, bpr, edges_in, edges_of, info_nce, inner_products, squares, triples, weights

PARAMS = {"factors": 3, "n_layers": 2, "l_w": 0.05, "ssl_temp": 0.4, "ssl_reg": 0.3, "ssl_ratio": 0.3, "sampling": "ed"}
CHANGES = {
    "factors": 5,
    "n_layers": 1,
    "l_w": 0.9,
    "ssl_temp": 1.0,
    "ssl_reg": 1.5,
    "ssl_ratio": 0.0,
    "sampling": "rw",
}
VARIANTS = [{"sampling": "nd"}, {"sampling": "rw"}, {"sampling": "rw", "n_layers": 3}, {"ssl_ratio": 0.0}]


def scores(model: Any, case: Any) -> np.ndarray:
    return inner_products(case, _vectors(model, [adjacency(case)] * model.params.n_layers))


def loss(model: Any, case: Any, batch: Any) -> float:
    params, views = model.params, []
    for view in model.views:  # drawn for the epoch: which edges they have is the model's, their weights are worked out
        parts = [edges_in(matrix, case) for matrix in view]
        assert len(parts) == params.n_layers and all(set(part) <= set(edges_of(case)) for part in parts)
        assert params.sampling == "rw" or all(part == parts[0] for part in parts)
        views.append(_vectors(model, [adjacency(case, part) for part in parts]))
    one, other = views
    contrast = 0.0
    for u, i, _ in triples(batch):
        item = case.n_users + i
        contrast += info_nce(one[u], other[u], other[: case.n_users], params.ssl_temp)
        contrast += info_nce(one[item], other[item], other[case.n_users :], params.ssl_temp)
    norms = squares(case, weights(model)["embeddings"], batch)
    return bpr(scores(model, case), batch) + params.ssl_reg * contrast / len(batch.users) + params.l_w * norms


def _vectors(model: Any, graphs: Sequence[np.ndarray]) -> np.ndarray:
    """(N, F): the mean of E0 and of what comes of it through the graph of each layer."""
    layers = [weights(model)["embeddings"]]
    for graph in graphs:
        layers.append(graph @ layers[-1])
    return np.mean(layers, axis=0)
