"""SelfCF: LightGCN's vectors; each predicts the other of a pair, of which entries are dropped."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from literal_graphs import adjacency, cosine, squares, triples, weights

PARAMS = {"factors": 3, "n_layers": 2, "l_w": 0.05, "dropout": 0.3}
CHANGES = {"factors": 5, "n_layers": 1, "l_w": 0.9, "dropout": 0.0, "compat": "edge_dropout"}
VARIANTS = [{"dropout": 0.0}, {"n_layers": 1}, {"compat": "edge_dropout"}]


def scores(model: Any, case: Any) -> np.ndarray:
    nodes = _vectors(model, adjacency(case))
    predicted, table = _predict(model, nodes), np.zeros((case.n_users, case.n_items))
    for user in range(case.n_users):
        for item in range(case.n_items):
            node = case.n_users + item
            table[user, item] = predicted[user] @ nodes[node] + nodes[user] @ predicted[node]
    return table


def loss(model: Any, case: Any, batch: Any) -> float:
    graph = adjacency(case)
    if model.params.compat == "edge_dropout":  # the draws are in the order of the rows and columns of the entries
        rate = float(torch.rand(()))
        places = np.nonzero(graph)
        graph[places] *= torch.nn.functional.dropout(torch.ones(len(places[0])), rate).numpy()
    nodes = _vectors(model, graph)
    predicted, shape = _predict(model, nodes), (len(batch.users), model.params.factors)
    items_left, users_left = (
        torch.nn.functional.dropout(torch.ones(shape), model.params.dropout).double().numpy() for _ in range(2)
    )
    total = 0.0
    for place, (user, positive) in enumerate(triples(batch)):
        item = case.n_users + positive
        total += (1 - cosine(predicted[user], nodes[item] * items_left[place])) / 2
        total += (1 - cosine(predicted[item], nodes[user] * users_left[place])) / 2
    return total / len(batch.users) + model.params.l_w * squares(case, nodes, batch)


def _vectors(model: Any, graph: np.ndarray) -> np.ndarray:
    layers = [weights(model)["embeddings"]]
    for _ in range(model.params.n_layers):
        layers.append(graph @ layers[-1])
    return np.mean(layers, axis=0)


def _predict(model: Any, nodes: np.ndarray) -> np.ndarray:
    state = weights(model)
    return np.array([state["predictor.weight"] @ row + state["predictor.bias"] for row in nodes])
