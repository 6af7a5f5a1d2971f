"""LGMRec, node by node: means and walks of features, shares in hyperedges with their noise drawn again, and sums."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import torch
from derivations._side_views import (
    adjacency,
    behaviour,
    drawn_nodes,
    info_nce,
    known_nodes,
    projected,
    ranking,
    softmax,
    state_of,
    unit,
)

PARAMS = {"factors": 3, "hyper_num": 3, "cl_weight": 0.1, "reg_weight": 0.05, "keep_rate": 0.6}
CHANGES = {
    "factors": 5,
    "n_ui_layers": 1,
    "n_mm_layers": 3,
    "n_hyper_layers": 2,
    "hyper_num": 4,
    "keep_rate": 0.9,
    "alpha": 0.9,
    "temperature": 0.7,
    "cl_weight": 1.0,
    "reg_weight": 1.0,
}
VARIANTS = [
    {"n_ui_layers": 3, "n_mm_layers": 1, "n_hyper_layers": 3, "keep_rate": 1.0},
    {"temperature": 1.0, "n_hyper_layers": 2, "alpha": 1.5},
]


def scores(model: Any, case: Any) -> np.ndarray:
    state, params = state_of(model), model.params
    logits = _hyperedge_scores(case, state)
    shares = [np.array([softmax(row / params.temperature) for row in rows]) for rows in logits]
    nodes, _ = _nodes(model, case, [rows * known[:, None] for rows, known in zip(shares, _known(case), strict=True)])
    return nodes[: case.n_users] @ nodes[case.n_users :].T


def loss(model: Any, case: Any, batch: Any) -> float:
    params, known, shares = model.params, _known(case), []
    for logits, there in zip(_hyperedge_scores(case, state_of(model)), known, strict=True):
        blank = torch.empty(logits.shape)
        noise = -blank.exponential_().log().double().numpy()  # Gumbel: minus the logarithm of an exponential draw
        kept = torch.nn.functional.dropout(torch.ones_like(blank), 1 - params.keep_rate).double().numpy()
        rows = [softmax((row + g) / params.temperature) for row, g in zip(logits, noise, strict=True)]
        shares.append(np.array(rows) * there[:, None] * kept)
    nodes, overall = _nodes(model, case, shares)
    drawn = drawn_nodes(case, batch)
    rows, size = nodes[drawn], len(batch.users)
    total = ranking(rows)
    total += params.reg_weight / size * sum(float(np.sqrt((part**2).sum())) for part in np.split(rows, 3))
    users, items = np.arange(case.n_users), np.arange(case.n_users, len(nodes))
    for m, n in combinations(range(len(overall)), 2):
        for ours, everyone in ((drawn[:size], users), (drawn[size : 2 * size], items)):
            others = overall[n][everyone[known[n][everyone]]]
            terms = [
                info_nce(overall[m][node], overall[n][node], others, params.temperature)
                for node in ours
                if known[m][node] and known[n][node]
            ]
            total += params.cl_weight * sum(terms)
    return total


def _known(case: Any) -> np.ndarray:
    """(M, U + I) bool."""
    return known_nodes(case).T


def _hyperedge_scores(case: Any, state: dict[str, np.ndarray]) -> list[np.ndarray]:
    """(U + I, Q) of every modality: a user's are the sums over the items."""
    found = []
    for items in projected(case, state, "hyperedges"):
        users = [sum((items[item] for item in liked), np.zeros(items.shape[1])) for liked in case.items_of]
        found.append(np.array([*users, *items]))
    return found


def _nodes(model: Any, case: Any, shares: list[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
    """N (U + I, F) and the C_m."""
    state, params = state_of(model), model.params
    b = behaviour(case, state, params.n_ui_layers)
    local, overall = [], []
    for place, items in enumerate(projected(case, state)):
        known = list(case.known.values())[place]
        having = [[item for item in liked if known[item]] for liked in case.items_of]
        users = [np.mean(items[liked], axis=0) if liked else np.zeros(params.factors) for liked in having]
        walk = np.array([*users, *items])
        for _ in range(params.n_mm_layers):
            walk = adjacency(case) @ walk
        local.append(walk)
    for of_nodes in shares:
        of_users, of_items = of_nodes[: case.n_users], of_nodes[case.n_users :]
        items = b[case.n_users :]
        for _ in range(params.n_hyper_layers):
            users, items = of_users @ (of_items.T @ items), of_items @ (of_items.T @ items)
        overall.append(np.concatenate([users, items]))
    together = np.sum(overall, axis=0)
    rows = [
        b[node] + sum(unit(each[node]) for each in local) + params.alpha * unit(together[node])
        for node in range(len(b))
    ]
    return np.array(rows), overall
