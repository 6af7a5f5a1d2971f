"""DualGNN: propagation by modality, users' own mixes, and the users with most items in common."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

PARAMS = {"factors": 3, "n_layers": 2, "l_w": 0.05}
CHANGES = {"factors": 4, "n_layers": 1, "top_k_users": 2, "top_k": 1, "l_w": 0.9}
VARIANTS = [{"n_layers": 1, "top_k_users": 2, "l_w": 0.0}, {"top_k_users": 1_000_000}]


def scores(model: Any, case: Any) -> np.ndarray:
    weights, users, items = encoded(model, case, model.params.n_layers)
    mixed = [sum(w * h[u] for w, h in zip(weights[u], users, strict=True)) for u in range(case.n_users)]
    near = co_occurrence(case, model.params.top_k_users)
    whole = [mixed[u] + sum(share * mixed[v] for v, share in near[u].items()) for u in range(case.n_users)]
    return np.array([[e_u @ sum(h[i] for h in items) for i in range(case.n_items)] for e_u in whole])


def loss(model: Any, case: Any, batch: Any) -> float:
    return ranking(scores(model, case), batch) + model.params.l_w * squares(model)


def ranking(table: np.ndarray, batch: Any) -> float:
    """BPR over the triples of a batch."""
    triples = list(zip(*(column.tolist() for column in batch), strict=True))
    return sum(math.log1p(math.exp(table[u, j] - table[u, i])) for u, i, j in triples) / len(triples)


def squares(model: Any) -> float:
    """Mean squares of the preferences of every modality and of the logits."""
    state = {name: value.double().numpy() for name, value in model.state_dict().items()}
    named = [value for name, value in state.items() if ".preferences." in name or name.endswith("logits")]
    return float(sum((value**2).mean() for value in named))


def encoded(model: Any, case: Any, n_layers: int) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
    """w (U, M), and h of the users and of the items for each modality."""
    state = {name: value.double().numpy() for name, value in model.state_dict().items()}
    adjacency = propagation(case)
    users, items = [], []
    for m, (name, features) in enumerate(case.features.items()):
        weight, bias = (state[f"encoder.projections.maps.{m}.{part}"] for part in ("weight", "bias"))
        rows = [row / np.linalg.norm(row) for row in state[f"encoder.preferences.{m}"]]
        for known, feature in zip(case.known[name], features.astype(float), strict=True):
            if known:
                projected = weight @ (feature / np.linalg.norm(feature)) + bias
                rows.append(projected / np.linalg.norm(projected))
            else:
                rows.append(np.zeros(len(bias)))
        h = sum(np.linalg.matrix_power(adjacency, layer) @ np.array(rows) for layer in range(n_layers + 1))
        users.append(h[: case.n_users])
        items.append(h[case.n_users :])
    exponentials = np.exp(state["encoder.logits"])
    return exponentials / exponentials.sum(axis=1, keepdims=True), users, items


def propagation(case: Any) -> np.ndarray:
    """D^-1/2 A D^-1/2 of the graph of users and items."""
    size = case.n_users + case.n_items
    adjacency = np.zeros((size, size))
    for u, of_user in enumerate(case.items_of):
        for i in of_user:
            adjacency[u, case.n_users + i] = adjacency[case.n_users + i, u] = 1
    degrees = adjacency.sum(axis=1)
    for a in range(size):
        for b in range(size):
            if adjacency[a, b]:
                adjacency[a, b] /= math.sqrt(degrees[a] * degrees[b])
    return adjacency


def co_occurrence(case: Any, k: int) -> list[dict[int, float]]:
    """For every user: the k users with most items in common, and the softmax of how many."""
    found = []
    for u, own in enumerate(case.items_of):
        counts = {v: len(set(own) & set(other)) for v, other in enumerate(case.items_of) if v != u}
        best = [v for _, v in sorted((-count, v) for v, count in counts.items() if count)[:k]]
        total = sum(math.exp(counts[v]) for v in best)
        found.append({v: math.exp(counts[v]) / total for v in best})
    return found
