"""ItemKNN: s_ui = sum of sim(i, j) over those of i's nearest items j that u has; items as columns of the dense R."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

PARAMS = {"neighbors": 2}
CHANGES = {"neighbors": 5, "similarity": "jaccard", "weighting": "tf-idf", "shrink": 1.5}
VARIANTS = [
    {"similarity": similarity, "weighting": weighting, "shrink": shrink, "neighbors": neighbors}
    for similarity in ("cosine", "adjusted", "jaccard", "dice", "dot")
    for weighting in ("none", "tf-idf", "bm25")
    for shrink in ((0.0,) if similarity == "dot" else (0.0, 2.0))
    for neighbors in (1, 3)
]


def scores(model: Any, case: Any) -> np.ndarray:
    items = [case.interactions[:, item] for item in range(case.n_items)]
    near = [nearest(items[item], items, model.params, without=item) for item in range(case.n_items)]
    return np.array(
        [[sum(near[i].get(j, 0.0) for j in case.items_of[u]) for i in range(case.n_items)] for u in range(case.n_users)]
    )


def nearest(row: np.ndarray, rows: list[np.ndarray], params: Any, without: int | None = None) -> dict[int, float]:
    """Numbers and similarities of the rows that are nearest to a binary row, compared in single precision."""
    weighted = [weights(each, rows, params.weighting) for each in rows]
    filled = [each for each, raw in zip(weighted, rows, strict=True) if raw.any()]
    mean = sum(filled) / len(filled)
    own, found = weights(row, rows, params.weighting), []
    for number, other in enumerate(weighted):
        if number != without and float(own @ other) != 0:
            value = np.float32(similarity(own, other, mean, params))
            if value > 0:
                found.append((-value, number))
    return {number: -float(negated) for negated, number in sorted(found)[: params.neighbors]}


def weights(row: np.ndarray, rows: list[np.ndarray], weighting: str) -> np.ndarray:
    if weighting == "none":
        return row
    lengths = [float(each.sum()) for each in rows if each.any()]
    weighted = np.zeros(len(row))
    for column in np.flatnonzero(row):
        having = sum(each[column] for each in rows)
        weighted[column] = math.log(len(lengths) / (1 + having))
        if weighting == "bm25":
            relative = row.sum() / (sum(lengths) / len(lengths))
            weighted[column] *= 2.2 / (1.2 * (0.25 + 0.75 * relative) + 1)
    return weighted


def similarity(x: np.ndarray, y: np.ndarray, mean: np.ndarray, params: Any) -> float:
    if params.similarity == "adjusted":
        x, y = x - mean, y - mean
    dot, xx, yy = float(x @ y), float(x @ x), float(y @ y)
    below = {"jaccard": xx + yy - dot, "dice": (xx + yy) / 2, "dot": 1.0}.get(params.similarity, math.sqrt(xx * yy))
    below += params.shrink
    return dot / below if below > 0 else 0.0
