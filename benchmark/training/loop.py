"""The training loop: sample, loss, step; judge on validation every few epochs; keep the best weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from benchmark.models.base import Diverged, TrainedRecommender, TrainingParams
from benchmark.training.checkpoint import Checkpoint
from benchmark.training.early_stopping import Stopper
from benchmark.training.optimisers import build_optimiser
from benchmark.training.precision import autocast, check_precision
from benchmark.training.run import Best, Judgement, Run, State, snapshot
from workbench.errors import UserError

__all__ = ["Fit", "Judgement", "Progress", "State", "fit", "snapshot"]


class Progress(NamedTuple):
    """What is told after an epoch.

    loss : mean over the batches of the epoch; value : the monitored value if the epoch was judged; best : the best of
    these so far; samples : how many the epoch drew.
    """

    epoch: int
    epochs: int
    loss: float
    value: float | None
    best: float | None
    samples: int


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
    per_user : `Metric@k` -> (E,) validation values of that epoch; empty without validation.
    stopped : why training ended before its last epoch, None if it did not.
    """

    epoch: int
    metrics: dict[str, float]
    state: State
    losses: list[float]
    history: list[tuple[int, float]]
    per_user: dict[str, np.ndarray]
    stopped: str | None


def fit(
    model: TrainedRecommender,
    params: TrainingParams,
    judge: Callable[[], Judgement] | None,
    monitor: str,
    every: int,
    report: Callable[[Progress], None],
    checkpoint: Checkpoint | None = None,
) -> Fit:
    """Train for `params.epochs` epochs, or until early stopping ends it.

    Parameters
    ----------
    judge : gives the validation figures of the present weights; None where there is no validation part.
    monitor : the metric that chooses the epoch, larger is better.
    every : epochs between judgements; the last epoch is always judged. Early stopping decides at the same epochs.
    report : told of every epoch that is over.
    checkpoint : where training goes on from if it was cut short, and where it is written to. Whoever gave it removes
        it once the result is safe.

    Raises
    ------
    Diverged : the loss is no longer a number.
    UserError : the device cannot train in that precision, or what early stopping monitors is not computed.
    """
    sampler = model.sampler()
    weights = list(model.parameters())
    if not weights:
        raise UserError(f"{type(model).__name__} has no parameters to train", mend="register them as nn.Parameter")
    device = weights[0].device
    check_precision(params.precision, device)
    precision = autocast(params.precision, device)
    generator = torch.Generator(device).manual_seed(params.seed)
    optimiser = build_optimiser(params, model)
    scaler = torch.amp.GradScaler(device.type, enabled=params.precision == "fp16")
    stopper = None if params.early_stopping is None else Stopper(params.early_stopping, monitor)
    run = Run(model, optimiser, scaler, generator, stopper)
    if checkpoint is not None:
        checkpoint.load(run)
    batch_size = len(sampler) if params.batch_size == -1 else params.batch_size
    stopped: str | None = None
    for epoch in range(run.epoch + 1, params.epochs + 1):
        for group in optimiser.param_groups:
            group["lr"] = params.learning_rate(epoch)
        model.train()
        model.on_epoch_start(epoch, generator)
        total, steps = torch.zeros((), device=device), 0
        for batch in sampler.batches(batch_size, generator):
            optimiser.zero_grad(set_to_none=True)
            with precision:
                loss = model.loss(batch)
            scaler.scale(loss).backward()  # without fp16 the scaler passes everything on as it is
            if params.clip_grad_norm is not None:
                scaler.unscale_(optimiser)
                torch.nn.utils.clip_grad_norm_(weights, params.clip_grad_norm)
            scaler.step(optimiser)
            scaler.update()
            total += loss.detach()
            steps += 1
        if not steps:
            raise UserError(f"the sampler of {type(model).__name__} gave no batch", mend="mend its `batches`")
        run.epoch = epoch
        run.losses.append(float(total) / steps)
        if not math.isfinite(run.losses[-1]):
            if checkpoint is not None:
                checkpoint.remove()  # it would end in the same way again
            raise Diverged(f"the loss of epoch {epoch} is {run.losses[-1]}")
        last, value = epoch == params.epochs, None
        if last or epoch % every == 0:
            judgement = Judgement({}, {}) if judge is None else judge()
            if judge is not None:
                value = judgement.metrics[monitor]
                run.history.append((epoch, value))
                if run.best is None or value > run.best.value:
                    run.best = Best(epoch, value, judgement, snapshot(model))
            if stopper is not None and not last:
                stopped = stopper.judge(epoch, run.losses[-1], judgement.metrics)
        best = None if run.best is None else run.best.value
        report(Progress(epoch, params.epochs, run.losses[-1], value, best, len(sampler)))
        if stopped is not None:
            break
        if checkpoint is not None and not last and checkpoint.due(epoch):
            checkpoint.save(run)
    return _result(run, stopped)


def _result(run: Run, stopped: str | None) -> Fit:
    kept = run.best or Best(run.epoch, math.nan, Judgement({}, {}), snapshot(run.model))
    judgement = kept.judgement
    return Fit(kept.epoch, judgement.metrics, kept.state, run.losses, run.history, judgement.per_user, stopped)
