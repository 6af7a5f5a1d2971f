"""LayerGCN: every layer's rows times their cosine with E, and the sum of the layers; trained on some of the edges."""

from __future__ import annotations

from typing import Any

import numpy as np
from literal_graphs import adjacency, bpr, cosine, edges_in, edges_of, inner_products, squares, weights

PARAMS = {"factors": 3, "n_layers": 2, "l_w": 0.05, "drop": 0.3}
CHANGES = {"factors": 5, "n_layers": 1, "l_w": 0.9, "drop": 0.6}
VARIANTS = [{"drop": 0.0}, {"n_layers": 1}, {"n_layers": 4}]


def scores(model: Any, case: Any) -> np.ndarray:
    return inner_products(case, _vectors(model, adjacency(case)))


def loss(model: Any, case: Any, batch: Any) -> float:
    kept = edges_in(model.pruned, case)  # of this epoch; their weights are worked out
    assert set(kept) <= set(edges_of(case))
    assert len(kept) == round((1 - model.params.drop) * len(edges_of(case)))
    table = inner_products(case, _vectors(model, adjacency(case, kept)))
    return bpr(table, batch) + model.params.l_w * squares(case, weights(model)["embeddings"], batch)


def _vectors(model: Any, graph: np.ndarray) -> np.ndarray:
    layer = start = weights(model)["embeddings"]
    total = np.zeros_like(start)
    for _ in range(model.params.n_layers):
        layer = np.array([cosine(row, own) * row for row, own in zip(graph @ layer, start, strict=True)])
        total += layer
    return total
