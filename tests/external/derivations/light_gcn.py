"""LightGCN: e = (E0 + A E0 + A A E0 + ...) / (L + 1); BPR and the squared norms of the batch's rows of E0."""

from __future__ import annotations

from typing import Any

import numpy as np
from literal_graphs import adjacency, bpr, inner_products, squares, weights

PARAMS = {"factors": 3, "n_layers": 2, "l_w": 0.05}
CHANGES = {"factors": 5, "n_layers": 1, "l_w": 0.9}
VARIANTS = [{"l_w": 0.0}, {"n_layers": 1}, {"n_layers": 4}]


def scores(model: Any, case: Any) -> np.ndarray:
    start, graph = weights(model)["embeddings"], adjacency(case)
    powers = [np.linalg.matrix_power(graph, layer) @ start for layer in range(model.params.n_layers + 1)]
    return inner_products(case, np.mean(powers, axis=0))


def loss(model: Any, case: Any, batch: Any) -> float:
    norms = squares(case, weights(model)["embeddings"], batch)
    return bpr(scores(model, case), batch) + model.params.l_w * norms
