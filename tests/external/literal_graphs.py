"""Graphs of users and items, written out: dense, in double precision, by loops. For the derivations."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np


def weights(model: Any) -> dict[str, np.ndarray]:
    """What a model has learnt, in double precision."""
    return {name: value.double().numpy() for name, value in model.state_dict().items()}


def edges_of(case: Any) -> list[tuple[int, int]]:
    """(user, item) of every training interaction, by user and item."""
    return [(user, item) for user in range(case.n_users) for item in case.items_of[user]]


def edges_in(matrix: Any, case: Any) -> list[tuple[int, int]]:
    """(user, item) of every edge that a sparse adjacency of users and items has, which must be symmetric."""
    entries = set(zip(matrix.pattern.rows.tolist(), matrix.pattern.columns.tolist(), strict=True))
    assert entries == {(column, row) for row, column in entries}
    return sorted((row, column - case.n_users) for row, column in entries if row < case.n_users)


def adjacency(case: Any, edges: Iterable[tuple[int, int]] | None = None) -> np.ndarray:
    """(N, N): 1 / sqrt(d_u d_i) where u and i have an edge, users first; all training interactions by default."""
    edges = edges_of(case) if edges is None else list(edges)
    n_users, degrees = case.n_users, np.zeros(case.n_users + case.n_items)
    for user, item in edges:
        degrees[user] += 1
        degrees[n_users + item] += 1
    matrix = np.zeros((len(degrees), len(degrees)))
    for user, item in edges:
        node = n_users + item
        matrix[user, node] = matrix[node, user] = 1 / math.sqrt(degrees[user] * degrees[node])
    return matrix


def inner_products(case: Any, nodes: np.ndarray) -> np.ndarray:
    """(U, I) from vectors of users and items (N, F)."""
    return nodes[: case.n_users] @ nodes[case.n_users :].T


def bpr(table: np.ndarray, batch: Any) -> float:
    """Mean of -ln sigmoid(s_ui - s_uj) under scores (U, I)."""
    terms = [math.log1p(math.exp(table[u, j] - table[u, i])) for u, i, j in triples(batch)]
    return sum(terms) / len(terms)


def triples(batch: Any) -> list[tuple[int, ...]]:
    return list(zip(*(column.tolist() for column in batch), strict=True))


def squares(case: Any, nodes: np.ndarray, batch: Any) -> float:
    """Mean over a batch of (|x_u|^2 + |x_i|^2 (+ |x_j|^2)) / 2, of vectors of users and items (N, F)."""
    total = 0.0
    for user, *items in triples(batch):
        for node in (user, *(case.n_users + item for item in items)):
            total += sum(float(value) ** 2 for value in nodes[node]) / 2
    return total / len(batch.users)


def cosine(left: np.ndarray, right: np.ndarray) -> float:
    """Of two vectors; 0 where one of them is zero."""
    lengths = math.sqrt(float(left @ left)) * math.sqrt(float(right @ right))
    return float(left @ right) / lengths if lengths else 0.0


def info_nce(anchor: np.ndarray, positive: np.ndarray, candidates: Iterable[np.ndarray], temperature: float) -> float:
    """-ln of the share of exp(cos(anchor, positive) / t) in the sum over all candidates."""
    total = sum(math.exp(cosine(anchor, other) / temperature) for other in candidates)
    return math.log(total) - cosine(anchor, positive) / temperature
