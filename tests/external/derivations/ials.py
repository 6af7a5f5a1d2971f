"""iALS: sweeps of three conjugate gradient steps for every user, then for every item, from the drawn vectors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

PARAMS = {"factors": 3, "epochs": 4, "alpha": 2.0}
CHANGES = {"factors": 2, "epochs": 7, "alpha": 9.0, "epsilon": 0.1, "reg": 1.0, "scaling": "log"}
WITH = {"epsilon": {"scaling": "log"}}
VARIANTS = [{"scaling": "log"}, {"scaling": "log", "epsilon": 0.2}, {"reg": 2.0, "epochs": 1}, {"alpha": 0.0}]


def scores(model: Any, case: Any) -> np.ndarray:
    params, seen = model.params, case.interactions
    strength = math.log(1 + 1 / params.epsilon) if params.scaling == "log" else 1.0
    confidence = np.where(seen > 0, 1 + params.alpha * strength, 1.0)
    torch.manual_seed(params.seed)
    users, items = (0.01 * torch.rand(count, params.factors).double().numpy() for count in seen.shape)
    for _ in range(params.epochs):
        users = np.array([moved(users[u], items, confidence[u], seen[u], params.reg) for u in range(len(users))])
        items = np.array([moved(items[i], users, confidence[:, i], seen[:, i], params.reg) for i in range(len(items))])
    return users @ items.T


def moved(x: np.ndarray, others: np.ndarray, c: np.ndarray, p: np.ndarray, reg: float) -> np.ndarray:
    """Three steps towards the minimum of sum c (p - x.y)^2 + reg |x|^2 over x; zero where p is."""
    if not p.any():
        return np.zeros(len(x))
    matrix = sum(c[j] * np.outer(y, y) for j, y in enumerate(others)) + reg * np.eye(len(x))
    residual = sum(c[j] * p[j] * y for j, y in enumerate(others)) - matrix @ x
    direction = residual
    for _ in range(3):
        square = residual @ residual
        if square < 1e-20:
            break
        step = square / (direction @ matrix @ direction)
        x, residual = x + step * direction, residual - step * (matrix @ direction)
        direction = residual + (residual @ residual) / square * direction
    return x
