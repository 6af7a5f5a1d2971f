"""SLMRec: numbers and modalities propagated with shared users, fused, ranked in the batch, and views compared."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from derivations.dual_gnn import propagation

PARAMS = {"factors": 3, "n_layers": 2, "temperature": 0.5, "alpha": 0.7, "ssl_temperature": 0.4}
CHANGES = {
    "factors": 4,
    "n_layers": 1,
    "temperature": 0.9,
    "task": "FD",
    "alpha": 0.1,
    "ssl_temperature": 1.1,
    "dropout": 0.6,
}
WITH = {"dropout": {"task": "FD"}}
VARIANTS = [{"task": "FD"}, {"task": "FM"}, {"n_layers": 1, "task": "FD", "dropout": 0.0}]


def scores(model: Any, case: Any) -> np.ndarray:
    users, items = (np.array(part) for part in fused(model, case, *propagated(model, case, model.params.n_layers)))
    return np.array([[e_u @ e_i for e_i in items] for e_u in users])


def loss(model: Any, case: Any, batch: Any) -> float:
    params = model.params
    users, items = propagated(model, case, params.n_layers)
    e_users, e_items = fused(model, case, users, items)
    pairs = list(zip(batch.users.tolist(), batch.positives.tolist(), strict=True))
    total = nce([e_users[u] for u, _ in pairs], [e_items[i] for _, i in pairs], params.temperature)
    drawn = sorted({i for _, i in pairs})
    n_modalities, n, size = len(case.features), len(drawn), params.factors
    if params.task == "FAC":
        return total + params.alpha * fine_and_coarse(model, case, items, drawn)
    if params.task == "FD":
        shape, two = (n, n_modalities, size), []
        for _ in range(2):
            factor = torch.nn.functional.dropout(torch.ones(shape), params.dropout).double().numpy()
            parts = [[items[i][0], *(items[i][1:] * factor[place])] for place, i in enumerate(drawn)]
            two.append([fuse(model, "items", each) for each in parts])
        return total + params.alpha * nce(two[0], two[1], params.ssl_temperature)
    lost = torch.randint(1, 1 + n_modalities, (n, 1)).flatten().tolist()
    masked = [
        fuse(model, "items", [h * (m != gone) for m, h in enumerate(items[i])])
        for i, gone in zip(drawn, lost, strict=True)
    ]
    return total + params.alpha * nce([e_items[i] for i in drawn], masked, params.ssl_temperature)


def fine_and_coarse(model: Any, case: Any, items: np.ndarray, drawn: list[int]) -> float:
    def affine(name: str, place: int, vector: np.ndarray) -> np.ndarray:
        linear = getattr(model, name)[place]
        return linear.weight.detach().double().numpy() @ vector + linear.bias.detach().double().numpy()

    total, names = 0.0, list(case.features)
    for m, name in enumerate(names, start=1):
        there = [i for i in drawn if case.known[name][i]]
        fine = [affine("to_fine", 0, items[i][0]) for i in there]
        if len(names) > 1 and m == len(names):
            one = [affine("to_coarse", 0, z) for z in fine]
            other = [affine("to_coarse", 1, items[i][m]) for i in there]
        else:
            one, other = fine, [affine("to_fine", m, items[i][m]) for i in there]
        if there:
            total += nce(one, other, model.params.ssl_temperature)
    return total


def nce(left: Any, right: Any, temperature: float, further: Any = None) -> float:
    """Mean of -log of the softmax share of the b-th right among all right, and the b-th of `further`, for left b."""
    total = 0.0
    for b, x in enumerate(left):
        others = [*right, *([] if further is None else [further[b]])]
        agreements = [
            math.exp(float(x @ y) / float(np.linalg.norm(x)) / float(np.linalg.norm(y)) / temperature) for y in others
        ]
        total -= math.log(agreements[b] / sum(agreements))
    return total / len(left)


def inputs(model: Any, case: Any) -> np.ndarray:
    """X (1 + M, U + I, F)."""
    state = {name: value.double().numpy() for name, value in model.state_dict().items()}
    layers = [np.concatenate([state["encoder.users"], state["encoder.items"]])]
    for m, (name, features) in enumerate(case.features.items()):
        weight, bias = (state[f"encoder.projections.maps.{m}.{part}"] for part in ("weight", "bias"))
        rows = np.array(
            [
                weight @ (feature / np.linalg.norm(feature)) + bias if known else np.zeros(len(bias))
                for known, feature in zip(case.known[name], features.astype(float), strict=True)
            ]
        )
        layers.append(np.concatenate([state["encoder.users"], rows]))
    return np.array(layers)


def propagated(model: Any, case: Any, n_layers: int) -> tuple[np.ndarray, np.ndarray]:
    """h of the users (U, 1 + M, F) and of the items (I, 1 + M, F)."""
    nodes = mean_of_powers(propagation(case), inputs(model, case), n_layers)
    return nodes[: case.n_users], nodes[case.n_users :]


def mean_of_powers(adjacency: np.ndarray, layers: np.ndarray, n_layers: int) -> np.ndarray:
    """(N, 1 + M, F) of the inputs (1 + M, N, F)."""
    operator = sum(np.linalg.matrix_power(adjacency, power) for power in range(n_layers + 1)) / (n_layers + 1)
    return np.stack([operator @ x for x in layers], axis=1)


def fuse(model: Any, side: str, parts: Any) -> np.ndarray:
    """e of one node from its parts (1 + M, F)."""
    linear = getattr(model.encoder, f"fuse_{side}")
    weight, bias = linear.weight.detach().double().numpy(), linear.bias.detach().double().numpy()
    return weight @ np.concatenate(list(parts)) + bias


def fused(model: Any, case: Any, users: np.ndarray, items: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    return [fuse(model, "users", each) for each in users], [fuse(model, "items", each) for each in items]
