"""SMORE, node by node: discrete Fourier transforms by their sums, filters, and views weighted by the fused one."""

from __future__ import annotations

import cmath
import math
from typing import Any

import numpy as np
import torch
from derivations._side_views import (
    behaviour,
    drawn_nodes,
    known_nodes,
    linear,
    projected,
    purified_view,
    side_loss,
    sigmoid,
    similar_items,
    softmax,
    state_of,
)

PARAMS = {"factors": 4, "n_ui_layers": 2, "top_k": 3, "l_w": 0.05, "c_l": 0.3, "drop": 0.4}
CHANGES = {
    "factors": 5,
    "n_ui_layers": 1,
    "n_layers": 2,
    "top_k": (2, 4, 3),
    "l_w": 2.0,
    "c_l": 2.0,
    "temperature": 0.7,
    "drop": 0.0,
}
VARIANTS = [{"factors": 3, "n_ui_layers": 3, "n_layers": 2, "drop": 0.0}, {"factors": 2}, {"top_k": 50}]


def scores(model: Any, case: Any) -> np.ndarray:
    state = state_of(model)
    b, views = behaviour(case, state, model.params.n_ui_layers), _views(model, case)
    nodes = b + _fused(state, b, views, [np.ones_like(b)] * len(views))
    return nodes[: case.n_users] @ nodes[case.n_users :].T


def loss(model: Any, case: Any, batch: Any) -> float:
    """A node that was drawn twice has two rows, and dropout is of rows."""
    state, nodes = state_of(model), drawn_nodes(case, batch)
    b, views = behaviour(case, state, model.params.n_ui_layers)[nodes], _views(model, case)
    ones = torch.ones(len(nodes), model.params.factors)
    masks = [torch.nn.functional.dropout(ones, model.params.drop).double().numpy() for _ in views]
    h = _fused(state, b, [view[nodes] for view in views], masks)
    return side_loss(model.params, b, h, known_nodes(case).any(1)[nodes])


def _views(model: Any, case: Any) -> list[np.ndarray]:
    """(U + I, F) of every modality, then of their fusion."""
    state, params = state_of(model), model.params
    sizes = params.top_k if isinstance(params.top_k, tuple) else [params.top_k] * len(case.features)
    graphs = [similar_items(case, name, k) for name, k in zip(case.features, sizes, strict=True)]
    filters = state["filters"][:, :, 0] + 1j * state["filters"][:, :, 1]
    spectra = [[_spectrum(row) for row in rows] for rows in projected(case, state)]
    product = np.ones((case.n_items, params.factors // 2 + 1), dtype=complex)
    for known, rows in zip(case.known.values(), spectra, strict=True):
        for item in np.flatnonzero(known):
            product[item] *= rows[item]
    coefficients = [*(np.array(rows) for rows in spectra), product]
    signals = [
        np.array([_vector(weights * row, params.factors) for row in rows])
        for weights, rows in zip(filters, coefficients, strict=True)
    ]
    graphs.append(np.max(graphs, axis=0))
    together = enumerate(zip(signals, graphs, strict=True))
    return [purified_view(case, state, k, signal, graph, params.n_layers) for k, (signal, graph) in together]


def _spectrum(row: np.ndarray) -> np.ndarray:
    """The first F // 2 + 1 coefficients of the orthonormal discrete Fourier transform."""
    size = len(row)
    waves = [[cmath.exp(-2j * math.pi * n * k / size) for n in range(size)] for k in range(size // 2 + 1)]
    return np.array(waves) @ row / math.sqrt(size)


def _vector(half: np.ndarray, size: int) -> np.ndarray:
    """The real row whose coefficients they are: the others are conjugates of these, the unpaired ones real."""
    whole = np.zeros(size, dtype=complex)
    whole[0] = half[0].real
    for k in range(1, len(half)):
        if 2 * k == size:
            whole[k] = half[k].real
        else:
            whole[k], whole[size - k] = half[k], half[k].conjugate()
    waves = [[cmath.exp(2j * math.pi * n * k / size) for k in range(size)] for n in range(size)]
    return (np.array(waves) @ whole).real / math.sqrt(size)


def _fused(state: dict[str, np.ndarray], b: np.ndarray, views: list[np.ndarray], masks: list[np.ndarray]) -> np.ndarray:
    """H of the rows of nodes."""
    h = np.zeros_like(b)
    for row in range(len(b)):
        for k, view in enumerate(views):
            preference = sigmoid(linear(state, f"preferences.{k}", b[row])) * masks[k][row]
            if k < len(views) - 1:
                hidden = np.tanh(linear(state, f"attention.{k}.0", views[-1][row]))
                preference = preference * softmax(linear(state, f"attention.{k}.2", hidden))
            h[row] += preference * view[row] / len(views)
    return h
