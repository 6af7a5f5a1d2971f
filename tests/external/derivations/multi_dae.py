"""MultiDAE: a row, its code, and the logarithm of a softmax over all items."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

PARAMS = {"dfac": 3, "hidden": 5, "dropout": 0.4, "weight_decay": 0.01}
CHANGES = {"dfac": 4, "hidden": 0, "dropout": 0.1, "normalise_input": False, "recipe": "igui"}
VARIANTS = [{"hidden": 0}, {"recipe": "igui", "hidden": None}]


def scores(model: Any, case: Any) -> np.ndarray:
    return np.array([decoded(model, np.tanh(encoded(model, row))) for row in case.interactions])


def loss(model: Any, case: Any, batch: Any) -> float:
    total = 0.0
    rows, kept = unpacked(model, batch)
    for row, scale in zip(rows, kept, strict=True):
        found = decoded(model, np.tanh(encoded(model, row, scale)))
        total -= sum(found[item] for item in np.flatnonzero(row))
    return total / len(rows)


def unpacked(model: Any, batch: Any) -> tuple[np.ndarray, np.ndarray]:
    """Rows of ones (B, I), and what dropout makes of ones there, drawn as the model draws it."""
    rows, kept = np.zeros(batch.shape), np.zeros(batch.shape)
    drawn = torch.nn.functional.dropout(torch.ones(len(batch.columns)), model.params.dropout).tolist()
    for user, item, scale in zip(batch.rows.tolist(), batch.columns.tolist(), drawn, strict=True):
        rows[user, item], kept[user, item] = 1, scale
    return rows, kept


def encoded(model: Any, row: np.ndarray, kept: np.ndarray | float = 1.0) -> np.ndarray:
    state = {name: value.double().numpy() for name, value in model.state_dict().items()}
    if model.params.normalise_input and row.any():
        row = row / math.sqrt(sum(row))
    first = (row * kept) @ state["first"] + state["first_bias"]
    return state["second.1.weight"] @ np.tanh(first) + state["second.1.bias"] if model.params.hidden != 0 else first


def decoded(model: Any, code: np.ndarray) -> np.ndarray:
    state = {name: value.double().numpy() for name, value in model.state_dict().items()}
    logits = state["decoder.0.weight"] @ code + state["decoder.0.bias"]
    if model.params.hidden != 0:
        logits = state["decoder.2.weight"] @ np.tanh(logits) + state["decoder.2.bias"]
    return logits - math.log(sum(math.exp(value) for value in logits))
