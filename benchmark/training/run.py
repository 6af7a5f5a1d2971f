"""What a run of training consists of: the parts that it changes, and what it has seen so far."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from benchmark.training.early_stopping import Stopper

State = dict[str, Tensor]


@dataclass(frozen=True)
class Judgement:
    """Validation figures of the present weights.

    Attributes
    ----------
    metrics : `Metric@k` -> mean over the judged users, or the number of the system.
    per_user : `Metric@k` -> (E,), one value a judged user, of the metrics that have one.
    """

    metrics: dict[str, float]
    per_user: dict[str, np.ndarray]


@dataclass(frozen=True)
class Best:
    """The first epoch with the best monitored value, and its weights."""

    epoch: int
    value: float
    judgement: Judgement
    state: State


@dataclass
class Run:
    """Everything that a later epoch depends on, besides torch's global random numbers.

    Attributes
    ----------
    model, optimiser, scaler, generator, stopper : changed in place by training.
    epoch : the last epoch that is over.
    losses : mean loss of every epoch; history : (epoch, monitored value) of every judgement.
    best : None before the first judgement.
    """

    model: torch.nn.Module
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    generator: torch.Generator
    stopper: Stopper | None
    epoch: int = 0
    losses: list[float] = field(default_factory=list)
    history: list[tuple[int, float]] = field(default_factory=list)
    best: Best | None = None


def snapshot(model: torch.nn.Module) -> State:
    """A copy of the weights, on the CPU."""
    return {name: value.detach().to("cpu", copy=True) for name, value in model.state_dict().items()}
