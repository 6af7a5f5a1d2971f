"""MultiVAE: MultiDAE with a code that is drawn, and what that costs."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from derivations import multi_dae

PARAMS = {**multi_dae.PARAMS, "beta": 0.3, "anneal_steps": 10}
CHANGES = {**multi_dae.CHANGES, "beta": 0.05, "anneal_steps": 3}
VARIANTS = [{"hidden": 0}, {"recipe": "igui", "anneal_steps": None}, {"anneal_steps": 0}]


def scores(model: Any, case: Any) -> np.ndarray:
    size = model.params.dfac
    return np.array([multi_dae.decoded(model, multi_dae.encoded(model, row)[:size]) for row in case.interactions])


def loss(model: Any, case: Any, batch: Any) -> float:
    size, total, divergence = model.params.dfac, 0.0, 0.0
    rows, kept = multi_dae.unpacked(model, batch)
    noise = torch.randn(len(rows), size).double().numpy()
    for row, scale, eps in zip(rows, kept, noise, strict=True):
        both = multi_dae.encoded(model, row, scale)
        mean, logvar = both[:size], both[size:]
        found = multi_dae.decoded(model, mean + np.exp(logvar / 2) * eps)
        total -= sum(found[item] for item in np.flatnonzero(row))
        divergence += sum(np.exp(logvar) + mean**2 - 1 - logvar) / 2
    return (total + weight(model, case) * divergence) / len(rows)


def weight(model: Any, case: Any) -> float:
    """a_t."""
    steps, users = model.params.anneal_steps, sum(map(bool, case.items_of))
    if steps is None:
        steps = 500 * -(-users // model.params.batch_size)
    updates = int(model.state_dict()["annealing.updates"])
    return min(model.params.beta, updates / steps) if steps else model.params.beta
