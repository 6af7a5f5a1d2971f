"""MMGCN, node by node: in each modality a node joins what its neighbours say with what it says itself."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

PARAMS = {"factors": 3, "factors_multimod": 4, "l_w": 0.05}
CHANGES = {
    "factors": 5,
    "n_layers": 2,
    "num_layers": 1,
    "factors_multimod": (3, None, 2),
    "l_w": 5.0,
    "aggregation": "max",
    "concatenation": True,
    "has_id": False,
}
VARIANTS = [
    {"factors_multimod": None},
    {"concatenation": True, "n_layers": 3},
    {"has_id": False, "n_layers": 1},
    {"aggregation": "add"},
    {"aggregation": "max"},
]


def scores(model: Any, case: Any) -> np.ndarray:
    nodes = np.mean([_modality(model, case, place) for place in range(len(case.features))], axis=0)
    return nodes[: case.n_users] @ nodes[case.n_users :].T


def loss(model: Any, case: Any, batch: Any) -> float:
    state, table, ranking, ids, preferences = _state(model), scores(model, case), 0.0, [], []
    for u, i, j in zip(*(column.tolist() for column in batch), strict=True):
        ranking += math.log1p(math.exp(table[u, j] - table[u, i]))
        if model.params.has_id:
            ids += [state["ids"][u], state["ids"][case.n_users + i], state["ids"][case.n_users + j]]
        preferences.append([state[f"preferences.{place}"][u] for place in range(len(case.features))])
    norms = sum(float(np.mean(np.square(rows))) for rows in zip(*preferences, strict=True))
    norms += float(np.mean(np.square(ids))) if ids else 0.0
    return ranking / len(batch.users) + model.params.l_w * norms


def _modality(model: Any, case: Any, place: int) -> np.ndarray:
    """x (U + I, F) of one modality."""
    params, state, prefix = model.params, _state(model), f"modal.{place}."
    name = list(case.features)[place]
    nodes = list(state[f"preferences.{place}"])
    for features, known in zip(case.features[name].astype(np.float64), case.known[name], strict=True):
        if params.factors_multimod is not None:
            features = state[prefix + "map.weight"] @ features + state[prefix + "map.bias"]
        nodes.append(features if known else np.zeros(len(features)))
    nodes = [node / max(np.linalg.norm(node), 1e-12) for node in nodes]
    for layer in range(params.n_layers):
        first, second, third = (
            state[f"{prefix}{part}.{layer}.weight"] for part in ("of_neighbours", "of_itself", "joint")
        )
        following = []
        for number, node in enumerate(nodes):
            said = [first @ nodes[other] for other in _neighbours(case, number)]
            heard = _act(_aggregated(said, params.aggregation, params.factors))
            own = _act(second @ node)
            if params.has_id:
                own = own + state["ids"][number]
            following.append(
                _act(third @ np.concatenate([heard, own]) if params.concatenation else third @ heard + own)
            )
        nodes = following
    return np.array(nodes)


def _neighbours(case: Any, number: int) -> list[int]:
    if number < case.n_users:
        return [case.n_users + item for item in case.items_of[number]]
    return [user for user, items in enumerate(case.items_of) if number - case.n_users in items]


def _aggregated(said: list[np.ndarray], how: str, size: int) -> np.ndarray:
    if not said:
        return np.zeros(size)
    return {"mean": np.mean, "add": np.sum, "max": np.max}[how](said, axis=0)


def _act(vector: np.ndarray) -> np.ndarray:
    return np.where(vector > 0, vector, 0.01 * vector)


def _state(model: Any) -> dict[str, np.ndarray]:
    return {name: value.double().numpy() for name, value in model.state_dict().items()}
