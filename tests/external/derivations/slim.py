"""SLIM: for every item the non-negative elastic net on all others, by plain coordinate descent until nothing moves."""

from __future__ import annotations

from typing import Any

import numpy as np

PARAMS = {"alpha": 0.01, "l1_ratio": 0.2, "neighborhood": 3}
CHANGES = {"alpha": 0.1, "l1_ratio": 0.9, "neighborhood": 1}
VARIANTS = [
    {"alpha": 0.001, "l1_ratio": 0.001},
    {"alpha": 0.3, "l1_ratio": 0.5},
    {"alpha": 0.5, "l1_ratio": 1.0},
    {"l1_ratio": 0.0},
    {"neighborhood": 2},
    {"neighborhood": 40},
]


def scores(model: Any, case: Any) -> np.ndarray:
    seen, params = case.interactions, model.params
    strength = params.alpha * sum(row.any() for row in seen)
    lasso, ridge = strength * params.l1_ratio, strength * (1 - params.l1_ratio)
    table = np.zeros((case.n_users, case.n_items))
    for item in range(case.n_items):
        weights, moved = np.zeros(case.n_items), 1.0
        while moved > 1e-14:
            moved = 0.0
            for other in range(case.n_items):
                column = seen[:, other]
                if other == item or not column.any():
                    continue
                rest = seen[:, item] - seen @ weights + column * weights[other]
                new = max(0.0, float(column @ rest) - lasso) / (float(column @ column) + ridge)
                moved, weights[other] = max(moved, abs(new - weights[other])), new
        ranked = sorted((-np.float32(value), other) for other, value in enumerate(weights) if value > 0)
        for _, other in ranked[: params.neighborhood]:
            table[:, item] += weights[other] * seen[:, other]
    return table
