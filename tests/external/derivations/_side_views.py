"""What the derivations of MGCN, SMORE and LGMRec have in common, dense and by loops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def state_of(model: Any) -> dict[str, np.ndarray]:
    return {name: value.double().numpy() for name, value in model.state_dict().items()}


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def softmax(values: np.ndarray) -> np.ndarray:
    shares = np.exp(values - values.max())
    return shares / shares.sum()


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / max(math.sqrt(float(vector @ vector)), 1e-12)


def normalised_interactions(case: Any) -> np.ndarray:
    """(U, I): 1 / sqrt(d_u d_i) where the user has the item."""
    degrees_u, degrees_i = case.interactions.sum(1), case.interactions.sum(0)
    found = np.zeros_like(case.interactions)
    for u, i in zip(*case.interactions.nonzero(), strict=True):
        found[u, i] = 1 / math.sqrt(degrees_u[u] * degrees_i[i])
    return found


def adjacency(case: Any) -> np.ndarray:
    """(U + I, U + I)."""
    block = normalised_interactions(case)
    return np.block([[np.zeros((case.n_users,) * 2), block], [block.T, np.zeros((case.n_items,) * 2)]])


def behaviour(case: Any, state: dict[str, np.ndarray], n_layers: int) -> np.ndarray:
    """(U + I, F): the mean of E, A E, A^2 E, ..."""
    layers = [np.concatenate([state["user_embeddings"], state["item_embeddings"]])]
    for _ in range(n_layers):
        layers.append(adjacency(case) @ layers[-1])
    return np.mean(layers, axis=0)


def similar_items(case: Any, name: str, top_k: int) -> np.ndarray:
    """(I, I): every known item with itself and its top_k - 1 nearest, by cosines, D^-1/2 on both sides."""
    values, known = case.features[name].astype(np.float64), case.known[name]
    graph = np.zeros((case.n_items, case.n_items))
    for item in np.flatnonzero(known):
        cosines = {other: float(unit(values[item]) @ unit(values[other])) for other in np.flatnonzero(known)}
        del cosines[item]
        graph[item, item] = 1
        for other in sorted(cosines, key=lambda other: -cosines[other])[: top_k - 1]:
            graph[item, other] = max(0.0, cosines[other])
    degrees = graph.sum(1)
    for row, column in zip(*graph.nonzero(), strict=True):
        graph[row, column] /= math.sqrt(degrees[row] * degrees[column])
    return graph


def known_nodes(case: Any) -> np.ndarray:
    """(U + I, M) bool: users of items with features, items with features."""
    users = [[any(known[item] for item in items) for known in case.known.values()] for items in case.items_of]
    items = [[known[item] for known in case.known.values()] for item in range(case.n_items)]
    return np.array(users + items, dtype=bool).reshape(-1, len(case.known))


def projected(case: Any, state: dict[str, np.ndarray], table: str = "projections") -> list[np.ndarray]:
    """(I, F) of every modality: W f + b, and zero where nothing is known."""
    found = []
    for place, (name, values) in enumerate(case.features.items()):
        weight, bias = state[f"{table}.maps.{place}.weight"], state.get(f"{table}.maps.{place}.bias", 0.0)
        rows = [weight @ row.astype(np.float64) + bias for row in values]
        found.append(np.array([row * known for row, known in zip(rows, case.known[name], strict=True)]))
    return found


def linear(state: dict[str, np.ndarray], name: str, vector: np.ndarray) -> np.ndarray:
    return state[f"{name}.weight"] @ vector + state.get(f"{name}.bias", 0.0)


def purified_view(case: Any, state: dict[str, np.ndarray], place: int, signal: np.ndarray, graph: np.ndarray,
                  n_layers: int) -> np.ndarray:  # fmt: skip
    """(U + I, F)."""
    gates = [sigmoid(linear(state, f"views.gates.{place}", row)) for row in signal]
    items = state["item_embeddings"] * np.array(gates)
    for _ in range(n_layers):
        items = graph @ items
    return np.concatenate([normalised_interactions(case) @ items, items])


def info_nce(anchor: np.ndarray, positive: np.ndarray, others: np.ndarray, temperature: float) -> float:
    """-log of the share of the positive, by cosines."""
    total = sum(math.exp(float(unit(anchor) @ unit(other)) / temperature) for other in others)
    return math.log(total) - float(unit(anchor) @ unit(positive)) / temperature


def drawn_nodes(case: Any, batch: Any) -> np.ndarray:
    """(3 B,): users, positives, negatives of a batch, as nodes."""
    users, positives, negatives = (column.numpy() for column in batch)
    return np.concatenate([users, case.n_users + positives, case.n_users + negatives])


def ranking(rows: np.ndarray) -> float:
    """The mean of -log sigmoid(s(u, i) - s(u, j)), from the rows of users, positives and negatives."""
    triples = list(zip(*np.split(rows, 3), strict=True))
    return sum(math.log1p(math.exp(float(u @ j - u @ i))) for u, i, j in triples) / len(triples)


def side_loss(params: Any, b: np.ndarray, h: np.ndarray, known: np.ndarray) -> float:
    """BPR of b + h, half the squared norms, and InfoNCE of h and b; rows (3 B, F) of users, positives, negatives."""
    size = len(b) // 3
    total = ranking(b + h) + params.l_w / (2 * size) * float(((b + h) ** 2).sum())
    for first in (0, size):
        rows = range(first, first + size)
        terms = [info_nce(h[row], b[row], b[first : first + size], params.temperature) for row in rows if known[row]]
        total += params.c_l * sum(terms) / size
    return total
