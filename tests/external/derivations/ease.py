"""EASE: for every item j the ridge regression of its column of R on the columns of all others, one system at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

PARAMS = {"l2_norm": 0.7}
CHANGES = {"l2_norm": 5.0, "neighborhood": 1}
VARIANTS = [{"l2_norm": 1000.0}, {"neighborhood": 2}, {"neighborhood": 1, "l2_norm": 3.0}, {"neighborhood": 50}]


def scores(model: Any, case: Any) -> np.ndarray:
    seen, params, columns = case.interactions, model.params, []
    for item in range(case.n_items):
        others = [other for other in range(case.n_items) if other != item]
        left = seen[:, others]
        solved = np.linalg.solve(left.T @ left + params.l2_norm * np.eye(len(others)), left.T @ seen[:, item])
        column = dict(zip(others, solved, strict=True))
        if params.neighborhood != -1:
            ranked = sorted((-np.float32(value), other) for other, value in column.items() if value > 1e-12)
            column = {other: column[other] for _, other in ranked[: params.neighborhood]}
        columns.append(sum((value * seen[:, other] for other, value in column.items()), np.zeros(case.n_users)))
    return np.array(columns).T
