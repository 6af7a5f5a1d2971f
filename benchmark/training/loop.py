"""The training loop: sample, loss, step; judge on validation every few epochs; keep the best weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmark.models.base import Diverged, TrainedRecommender, TrainingParams

State = dict[str, Tensor]


@dataclass(frozen=True)
class Fit:
    """What training gave.

    Attributes
    ----------
    epoch : the epoch whose weights are kept: the first with the best validation value, or the last without validation.
    metrics : validation metrics of that epoch; empty without validation.
    state : the weights of that epoch.
    losses : mean loss of every epoch.
    history : (epoch, validation value) of every judgement.
    """

    epoch: int
    metrics: dict[str, float]
    state: State
    losses: list[float]
    history: list[tuple[int, float]]


def fit(
    model: TrainedRecommender,
    params: TrainingParams,
    judge: Callable[[], dict[str, float]] | None,
    monitor: str,
    every: int,
    report: Callable[[int, float, float | None], None],
) -> Fit:
    """Train for `params.epochs` epochs with Adam.

    Parameters
    ----------
    judge : gives the validation metrics of the present weights; None where there is no validation part.
    monitor : the metric that chooses the epoch, larger is better.
    every : epochs between judgements; the last epoch is always judged.
    report : told epoch, mean loss and, where one was made, the judgement.

    Raises
    ------
    Diverged : the loss is no longer a number.
    """
    sampler = model.sampler()
    device = next(model.parameters()).device
    generator = torch.Generator(device).manual_seed(params.seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=params.lr, fused=True)
    batch_size = len(sampler) if params.batch_size == -1 else params.batch_size
    losses: list[float] = []
    history: list[tuple[int, float]] = []
    best: tuple[float, int, dict[str, float], State] | None = None
    for epoch in range(1, params.epochs + 1):
        model.train()
        model.on_epoch_start(epoch, generator)
        total = torch.zeros((), device=device)
        for step, batch in enumerate(sampler.batches(batch_size, generator), start=1):  # noqa: B007
            optimiser.zero_grad(set_to_none=True)
            loss = model.loss(batch)
            loss.backward()
            optimiser.step()
            total += loss.detach()
        losses.append(float(total) / step)
        if not math.isfinite(losses[-1]):
            raise Diverged(f"the loss of epoch {epoch} is {losses[-1]}")
        value = None
        if judge is not None and (epoch % every == 0 or epoch == params.epochs):
            metrics = judge()
            value = metrics[monitor]
            history.append((epoch, value))
            if best is None or value > best[0]:
                best = (value, epoch, metrics, snapshot(model))
        report(epoch, losses[-1], value)
    if best is None:
        return Fit(params.epochs, {}, snapshot(model), losses, history)
    return Fit(best[1], best[2], best[3], losses, history)


def snapshot(model: torch.nn.Module) -> State:
    """A copy of the weights, on the CPU."""
    return {name: value.detach().to("cpu", copy=True) for name, value in model.state_dict().items()}
