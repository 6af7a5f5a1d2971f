"""NGCFM: the mean of NGCF's layers, and VBPR's term t_u . p_i."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from derivations.ngcf import layers
from literal_graphs import bpr, inner_products, squares, triples, weights

PARAMS = {"factors": 3, "n_layers": 2, "node_dropout": 0.3, "message_dropout": 0.2, "l_w": 0.05}
CHANGES = {
    "factors": 5,
    "n_layers": 1,
    "node_dropout": 0.0,
    "message_dropout": 0.0,
    "l_w": 0.9,
    "compat": "elliot",
}
VARIANTS = [{"l_w": 0.0}, {"compat": "elliot"}, {"n_layers": 3}]


def scores(model: Any, case: Any) -> np.ndarray:
    propagated = np.mean(layers(model, case, training=False), axis=0)
    return inner_products(case, propagated) + weights(model)["user_tastes"] @ _views(model, case).T


def loss(model: Any, case: Any, batch: Any) -> float:
    propagated = np.mean(layers(model, case, training=True), axis=0)
    tastes, views = weights(model)["user_tastes"], _views(model, case)
    table = inner_products(case, propagated) + tastes @ views.T
    norms = squares(case, propagated, batch)
    for u, i, j in triples(batch):
        norms += sum(float(vector @ vector) for vector in (tastes[u], views[i], views[j])) / 2 / len(batch.users)
    return bpr(table, batch) + model.params.l_w * norms


def _views(model: Any, case: Any) -> np.ndarray:
    """p (I, F); zero for an item that has no features of any kind."""
    state = weights(model)
    rows = []
    for item in range(case.n_items):
        raw = np.concatenate([features[item] * case.known[name][item] for name, features in case.features.items()])
        view = state["projection.weight"] @ raw.astype(np.float64) + state["projection.bias"]
        there = any(known[item] for known in case.known.values())
        rows.append(view / math.sqrt(view @ view) if there else np.zeros(len(view)))
    return np.array(rows)
