"""NGCF node by node, as sums of messages (eq. 3 to 6 of the paper), and Elliot's variant of it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from literal_graphs import adjacency, bpr, inner_products, squares, weights

PARAMS = {"factors": 3, "n_layers": 2, "weight_size": 2, "node_dropout": 0.3, "message_dropout": 0.2, "l_w": 0.05}
CHANGES = {
    "factors": 5,
    "n_layers": 1,
    "weight_size": 4,
    "node_dropout": 0.0,
    "message_dropout": 0.0,
    "l_w": 0.9,
    "compat": "elliot",
}
VARIANTS = [{"l_w": 0.0}, {"compat": "elliot"}, {"compat": "elliot", "n_layers": 1}, {"n_layers": 3}]


def scores(model: Any, case: Any) -> np.ndarray:
    return inner_products(case, np.concatenate(layers(model, case, training=False), axis=1))


def loss(model: Any, case: Any, batch: Any) -> float:
    found = layers(model, case, training=True)
    final = np.concatenate(found, axis=1)
    ranking = bpr(inner_products(case, final), batch)
    if model.params.compat == "elliot":
        return ranking + model.params.l_w * squares(case, final, batch)
    transforms = [value for name, value in weights(model).items() if name != "embeddings"]
    norms = squares(case, found[0], batch) + sum(float((each**2).sum()) for each in transforms) / 2
    return ranking + model.params.l_w * norms


def layers(model: Any, case: Any, training: bool) -> list[np.ndarray]:
    """E0, E1, ... as they are read out; in training with the silent nodes of the epoch and with drawn messages."""
    state, elliot = weights(model), model.params.compat == "elliot"
    nodes = state["embeddings"]
    count, read = len(nodes), [nodes]
    linked = adjacency(case) > 0
    share = adjacency(case)
    if elliot:
        linked = linked | np.eye(count, dtype=bool)
        share = np.array(
            [[linked[node, other] / linked[node].sum() for other in range(count)] for node in range(count)]
        )
    for layer in range(model.params.n_layers):
        first, second = (state[f"propagation.{kind}.{layer}.weight"] for kind in ("sums", "products"))
        sending, messages = np.ones(count), np.ones((count, len(first)))
        if training:
            sending = model.propagation.sending[layer].flatten().double().numpy()
            messages = torch.nn.functional.dropout(torch.ones(count, len(first)), model.params.message_dropout)
            messages = messages.double().numpy()
        following = np.zeros((count, len(first)))
        for node in range(count):
            total = np.zeros(len(first))
            if elliot:
                total += sum(state[f"propagation.{kind}.{layer}.bias"] for kind in ("sums", "products"))
            else:
                total += first @ nodes[node]
            for other in np.flatnonzero(linked[node]):
                sent = share[node, other] * sending[other] * nodes[other]
                total += first @ sent + second @ (sent * nodes[node])
            following[node] = [value if value > 0 else 0.2 * value for value in total]
        nodes = following * messages
        read.append(np.array([row / max(math.sqrt(row @ row), 1e-12) for row in nodes]) if elliot else nodes)
    return read
