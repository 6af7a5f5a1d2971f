"""Optimisers by name."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from benchmark.models.base import TrainingParams

_FUSED = ("cpu", "cuda", "mps")  # devices on which torch updates all weights in one kernel


def build_optimiser(params: TrainingParams, weights: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Adam (L2 decay inside the gradient), AdamW (decay apart from it) or SGD with momentum, over all weights."""
    weights = list(weights)
    fused = all(weight.device.type in _FUSED and weight.is_floating_point() for weight in weights)
    if params.optimizer == "sgd":
        return torch.optim.SGD(weights, params.lr, params.momentum, weight_decay=params.weight_decay, fused=fused)
    kind = torch.optim.Adam if params.optimizer == "adam" else torch.optim.AdamW
    return kind(weights, params.lr, weight_decay=params.weight_decay, fused=fused)
