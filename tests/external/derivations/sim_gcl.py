"""SimGCL: three propagations, of which two add noise to every layer; InfoNCE among the distinct users and items."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from literal_graphs import adjacency, bpr, info_nce, inner_products, squares, weights

PARAMS = {"factors": 3, "n_layers": 2, "l_w": 0.05, "eps": 0.3, "reg_cl": 0.4}
CHANGES = {"factors": 5, "n_layers": 1, "l_w": 0.9, "eps": 0.9, "reg_cl": 2.0}
VARIANTS = [{"n_layers": 1}, {"n_layers": 3}, {"eps": 0.0}, {"reg_cl": 0.0}]


def scores(model: Any, case: Any) -> np.ndarray:
    return inner_products(case, _vectors(model, case, noisy=False))


def loss(model: Any, case: Any, batch: Any) -> float:
    one, other = (_vectors(model, case, noisy=True) for _ in range(2))
    contrast = 0.0
    for nodes in (sorted(set(batch.users.tolist())), sorted({case.n_users + i for i in batch.positives.tolist()})):
        terms = [info_nce(one[node], other[node], other[nodes], 0.2) for node in nodes]
        contrast += sum(terms) / len(terms)
    norms = squares(case, weights(model)["embeddings"], batch)
    return bpr(scores(model, case), batch) + model.params.reg_cl * contrast + model.params.l_w * norms


def _vectors(model: Any, case: Any, noisy: bool) -> np.ndarray:
    graph, layers = adjacency(case), [weights(model)["embeddings"]]
    for _ in range(model.params.n_layers):
        layer = graph @ layers[-1]
        if noisy:
            for row, noise in zip(layer, torch.rand(layer.shape).double().numpy(), strict=True):
                row += model.params.eps * np.sign(row) * noise / math.sqrt(noise @ noise)
        layers.append(layer)
    return np.mean(layers[1:], axis=0)
