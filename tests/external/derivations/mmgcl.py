"""MMGCL: BPR on fused modalities, and contrasts of dropped edges, masked modalities and challenging negatives."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from derivations.dual_gnn import propagation, ranking
from derivations.slmrec import fuse, fused, inputs, mean_of_powers, nce, propagated

PARAMS = {"factors": 3, "n_layers": 2, "drop": 0.3, "temperature": 0.5, "alpha": 0.7, "l_w": 0.05}
CHANGES = {
    "factors": 4,
    "n_layers": 1,
    "drop": 0.6,
    "mask_p": "(0.0, 0.0, 1.0)",
    "temperature": 0.9,
    "alpha": 0.1,
    "l_w": 0.9,
}
VARIANTS = [{"n_layers": 1, "l_w": 0.0}, {"drop": 0.0}]


def scores(model: Any, case: Any) -> np.ndarray:
    users, items = fused(model, case, *propagated(model, case, model.params.n_layers))
    return np.array([[e_u @ e_i for e_i in items] for e_u in users])


def loss(model: Any, case: Any, batch: Any) -> float:
    params, n_users = model.params, case.n_users
    total = ranking(scores(model, case), batch)
    u, v = (getattr(model.encoder, side).detach().double().numpy() for side in ("users", "items"))
    for user, positive, negative in zip(*(column.tolist() for column in batch), strict=True):
        rows = (u[user], v[positive], v[negative])
        total += params.l_w / 2 * sum(float(row @ row) for row in rows) / len(batch.users)

    given = inputs(model, case)
    probabilities = torch.tensor(params.mask_p or [1.0] * len(case.features))
    masked = int(torch.multinomial(probabilities / probabilities.sum(), 1)) + 1
    first = mean_of_powers(propagation(kept(model, case, 0)), given, params.n_layers)
    if len(case.features) == 1:
        second = mean_of_powers(propagation(kept(model, case, 1)), given, params.n_layers)
    else:
        given[masked] = model.noise.double().numpy()
        second = mean_of_powers(propagation(case), given, params.n_layers)
    for side, nodes in (("users", batch.users), ("items", batch.positives + n_users)):
        nodes = sorted(set(nodes.tolist()))
        order = torch.randperm(len(nodes)).tolist()
        columns = torch.randint(1, 1 + len(case.features), (len(nodes), 1)).flatten().tolist()
        challenging = []
        for place, column in enumerate(columns):
            parts = second[nodes[place]].copy()
            parts[column] = second[nodes[order[order.index(place) - 1]]][column]
            challenging.append(fuse(model, side, parts))
        one, other = ([fuse(model, side, view[node]) for node in nodes] for view in (first, second))
        total += params.alpha * nce(one, other, params.temperature, challenging)
    return total


def kept(model: Any, case: Any, view: int) -> Any:
    """The graph of what a view by edge dropout was drawn to have: as many as it should, of the true interactions."""
    pattern = model.adjacencies[view].pattern
    edges = {(int(a), int(b) - case.n_users) for a, b in zip(pattern.rows, pattern.columns, strict=True) if a < b}
    everything = {(user, item) for user, items in enumerate(case.items_of) for item in items}
    assert edges <= everything
    assert len(edges) == round((1 - model.params.drop) * len(everything))
    items_of = [[item for item in items if (user, item) in edges] for user, items in enumerate(case.items_of)]
    return SimpleNamespace(n_users=case.n_users, n_items=case.n_items, items_of=items_of)
