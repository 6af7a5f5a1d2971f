"""Optimisers by name."""

from __future__ import annotations

import torch

from benchmark.models.base import TrainedRecommender, TrainingParams

_FUSED = ("cpu", "cuda", "mps")  # devices on which torch updates all weights in one kernel


def build_optimiser(params: TrainingParams, model: TrainedRecommender) -> torch.optim.Optimizer:
    """Adam (L2 decay inside the gradient), AdamW (decay apart from it) or SGD with momentum, over all weights.

    Weight decay does not reach those that the model names in `undecayed`.
    """
    spared = {id(weight) for weight in model.undecayed()}
    weights = list(model.parameters())
    groups = [
        {"params": [weight for weight in weights if id(weight) not in spared], "weight_decay": params.weight_decay},
        {"params": [weight for weight in weights if id(weight) in spared], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    fused = all(weight.device.type in _FUSED and weight.is_floating_point() for weight in weights)
    if params.optimizer == "sgd":
        return torch.optim.SGD(groups, params.lr, params.momentum, fused=fused)
    kind = torch.optim.Adam if params.optimizer == "adam" else torch.optim.AdamW
    return kind(groups, params.lr, fused=fused)
