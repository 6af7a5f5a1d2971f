"""LightGCN: e = (E0 + A E0 + A A E0 + ...) / (L + 1); BPR and the squared norms of the batch's rows of E0."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from literal_graphs import adjacency, bpr, inner_products, squares, weights

PARAMS = {"factors": 3, "n_layers": 2, "l_w": 0.05}
CHANGES = {"factors": 5, "n_layers": 1, "l_w": 0.9, "compat": "mmrec"}
VARIANTS = [{"l_w": 0.0}, {"compat": "mmrec"}, {"n_layers": 1}, {"n_layers": 4}]


def scores(model: Any, case: Any) -> np.ndarray:
    start, graph = weights(model)["embeddings"], adjacency(case)
    powers = [np.linalg.matrix_power(graph, layer) @ start for layer in range(model.params.n_layers + 1)]
    return inner_products(case, np.mean(powers, axis=0))


def loss(model: Any, case: Any, batch: Any) -> float:
    start = weights(model)["embeddings"]
    norms = squares(case, start, batch)
    if model.params.compat == "mmrec":
        rows = (batch.users, batch.positives + case.n_users, batch.negatives + case.n_users)
        norms = sum(math.sqrt(sum(float(start[row] @ start[row]) for row in each)) for each in rows) / len(batch.users)
    return bpr(scores(model, case), batch) + model.params.l_w * norms
