"""BM3: every target is a view after dropout, as a constant; the same predictor reads users, items and features."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

PARAMS = {"factors": 3, "n_layers": 2, "dropout": 0.3, "cl_weight": 2.0, "reg_weight": 0.1}
CHANGES = {
    "factors": 5,
    "n_layers": 1,
    "dropout": 0.6,
    "cl_weight": 0.5,
    "reg_weight": 0.9,
    "compat": "trainable_features",
}
VARIANTS = [{"n_layers": 1, "dropout": 0.0}, {"reg_weight": 0.0, "dropout": 0.5}, {"compat": "trainable_features"}]


def scores(model: Any, case: Any) -> np.ndarray:
    users, items = _propagated(model, case)
    predicted_users, predicted_items = _predicted(model, users), _predicted(model, items)
    return np.array(
        [[predicted_users[u] @ predicted_items[i] for i in range(case.n_items)] for u in range(case.n_users)]
    )


def loss(model: Any, case: Any, batch: Any) -> float:
    users, items = _propagated(model, case)
    state = _state(model)
    user, item = users[batch.users.numpy()], items[batch.positives.numpy()]
    user_view, item_view = _dropped(model, user), _dropped(model, item)
    total = 0.0
    for place in range(len(user)):
        total += 1 - _cosine(_predicted(model, user[place]), item_view[place])
        total += 1 - _cosine(_predicted(model, item[place]), user_view[place])
    for number, (name, raw) in enumerate(case.features.items()):
        values = state.get(f"projections.values.{number}", raw.astype(np.float64))
        projected = values @ state[f"projections.maps.{number}.weight"].T + state[f"projections.maps.{number}.bias"]
        features = projected[batch.positives.numpy()]
        view = _dropped(model, features)
        for place, i in enumerate(batch.positives.tolist()):
            if case.known[name][i]:
                predicted = _predicted(model, features[place])
                total += model.params.cl_weight * (1 - _cosine(predicted, item_view[place]))
                total += model.params.cl_weight * (1 - _cosine(predicted, view[place]))
    norms = math.sqrt((users**2).sum()) + math.sqrt((items**2).sum())
    return total / len(user) + model.params.reg_weight * norms / case.n_items


def _state(model: Any) -> dict[str, np.ndarray]:
    return {name: value.double().numpy() for name, value in model.state_dict().items()}


def _propagated(model: Any, case: Any) -> tuple[np.ndarray, np.ndarray]:
    """The mean of all layers; items with their first layer added."""
    state = _state(model)
    users, items = [state["user_factors"]], [state["item_factors"]]
    of_users, of_items = case.interactions.sum(1), case.interactions.sum(0)
    for _ in range(model.params.n_layers):
        next_users, next_items = np.zeros_like(users[0]), np.zeros_like(items[0])
        for u, i in zip(*np.nonzero(case.interactions), strict=True):
            weight = 1 / math.sqrt(of_users[u] * of_items[i])
            next_users[u] += weight * items[-1][i]
            next_items[i] += weight * users[-1][u]
        users.append(next_users)
        items.append(next_items)
    return np.mean(users, axis=0), np.mean(items, axis=0) + items[0]


def _predicted(model: Any, vectors: np.ndarray) -> np.ndarray:
    state = _state(model)
    return vectors @ state["predictor.weight"].T + state["predictor.bias"]


def _dropped(model: Any, vectors: np.ndarray) -> np.ndarray:
    """The next draw of dropout, as the model draws it: over all rows of the batch."""
    mask = torch.nn.functional.dropout(torch.ones(vectors.shape), model.params.dropout)
    return vectors * mask.double().numpy()


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    lengths = np.linalg.norm(one) * np.linalg.norm(other)
    return float(one @ other / lengths) if lengths > 0 else 0.0
