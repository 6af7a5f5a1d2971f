"""GRCN, edge by edge: prototypes by routing, affinities of both directions, and a convolution with their weights."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

PARAMS = {"factors": 3, "factors_multimod": 4, "num_routings": 2, "l_w": 0.05}
CHANGES = {
    "factors": 5,
    "factors_multimod": 6,
    "n_layers": 3,
    "num_layers": 1,
    "num_routings": 4,
    "l_w": 5.0,
    "weight_mode": "mean",
    "pruning": False,
    "has_act": True,
    "fusion": "id",
    "compat": "full_preference_weight",
}
WITH = {"pruning": {"lr": 1.0}}
VARIANTS = [
    {"weight_mode": "mean"},
    {"weight_mode": "max", "n_layers": 1},
    {"pruning": False, "lr": 1.0},
    {"lr": 1.0},
    {"has_act": True, "num_routings": 1},
    {"fusion": "id"},
    {"fusion": "mean", "factors_multimod": 3},
    {"compat": "full_preference_weight"},
]


def scores(model: Any, case: Any) -> np.ndarray:
    state, params = _state(model), model.params
    views = [_vectors(model, case, place) for place in range(len(case.features))]
    x = _convolved(model, case, _weights(model, case, views))
    if params.fusion == "id":
        return x[: case.n_users] @ x[case.n_users :].T
    parts = [x, *views]
    nodes = np.concatenate(parts, axis=1) if params.fusion == "concat" else np.mean(parts, axis=0)
    assert len(nodes) == len(state["ids"])
    return nodes[: case.n_users] @ nodes[case.n_users :].T


def loss(model: Any, case: Any, batch: Any) -> float:
    state, table, ranking, ids, preferences = _state(model), scores(model, case), 0.0, [], []
    for u, i, j in zip(*(column.tolist() for column in batch), strict=True):
        ranking += math.log1p(math.exp(table[u, j] - table[u, i]))
        ids += [state["ids"][u], state["ids"][case.n_users + i], state["ids"][case.n_users + j]]
        preferences.append([state[f"preferences.{place}"][u] for place in range(len(case.features))])
    of_preferences = sum(float(np.mean(np.square(rows))) for rows in zip(*preferences, strict=True))
    weight = 1.0 if model.params.compat == "full_preference_weight" else model.params.l_w
    return ranking / len(batch.users) + model.params.l_w * float(np.mean(np.square(ids))) + weight * of_preferences


def _vectors(model: Any, case: Any, place: int) -> np.ndarray:
    """Users after the routing and items (U + I, C) of one modality."""
    state, name = _state(model), list(case.features)[place]
    weight, bias = state[f"projections.maps.{place}.weight"], state[f"projections.maps.{place}.bias"]
    known, items, users = case.known[name], [], []
    for features, there in zip(case.features[name].astype(np.float64), known, strict=True):
        items.append(_unit(_act(weight @ features + bias)) if there else np.zeros(len(bias)))
    for number, preference in enumerate(state[f"preferences.{place}"]):
        user = _unit(preference)
        liked = [items[item] for item in case.items_of[number] if known[item]]
        for _ in range(model.params.num_routings):
            attention = _softmax([user @ item for item in liked])
            user = _unit(user + sum(a * item for a, item in zip(attention, liked, strict=True)))
        users.append(user)
    return np.array([*users, *items])


def _weights(model: Any, case: Any, views: list[np.ndarray]) -> np.ndarray:
    """S (U + I, U + I): row = receiver, column = sender."""
    n_nodes, params = case.n_users + case.n_items, model.params
    found = np.zeros((n_nodes, n_nodes))
    for receiver in range(n_nodes):
        senders = [other for other in range(n_nodes) if _joined(case, receiver, other)]
        affinities = [_softmax([nodes[receiver] @ nodes[sender] for sender in senders]) for nodes in views]
        for sender, each in zip(senders, zip(*affinities, strict=True), strict=True):
            if params.weight_mode == "confid":
                value = max(_state(model)["confidences"][sender] * each)
            else:
                value = max(each) if params.weight_mode == "max" else sum(each) / len(each)
            found[receiver, sender] = max(value, 0.0) if params.pruning else value
    return found


def _convolved(model: Any, case: Any, weights: np.ndarray) -> np.ndarray:
    layers = [np.array([_unit(row) for row in _state(model)["ids"]])]
    for _ in range(model.params.n_layers):
        layers.append(weights @ layers[-1])
        if model.params.has_act:
            layers[-1] = _act(layers[-1])
    return np.sum(layers, axis=0)


def _joined(case: Any, one: int, other: int) -> bool:
    user, node = min(one, other), max(one, other)
    return user < case.n_users <= node and node - case.n_users in case.items_of[user]


def _softmax(values: list[float]) -> list[float]:
    exponentials = [math.exp(value) for value in values]
    return [value / sum(exponentials) for value in exponentials]


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)


def _act(vector: np.ndarray) -> np.ndarray:
    return np.where(vector > 0, vector, 0.01 * vector)


def _state(model: Any) -> dict[str, np.ndarray]:
    return {name: value.double().numpy() for name, value in model.state_dict().items()}
