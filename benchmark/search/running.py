"""One trial is run: built, trained, judged, and what it took; whatever goes wrong is an outcome, too."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from loguru import logger
from safetensors.torch import save

from benchmark.evaluation import Evaluator
from benchmark.models.base import Diverged, Params, Recommender, TrainedRecommender, TrainingData, TrainingParams
from benchmark.training.checkpoint import Checkpoint
from benchmark.training.loop import Judgement, Progress, fit, snapshot
from workbench.cost import Meter
from workbench.errors import UserError
from workbench.runtime import seed_everything

Watch = Callable[[Progress], None]


@dataclass(frozen=True)
class Ground:
    """What trials run on: the training data of one split, and the judge that chooses (None without validation)."""

    data: TrainingData
    validation: Evaluator | None


@dataclass(frozen=True)
class Task:
    """A trial as it travels to where it is run: everything but the ground.

    Attributes
    ----------
    monitor : the metric that chooses the epoch; every : epochs between judgements.
    digits : decimals of the judgements that are left before anything is chosen, None for all.
    threads : of the processor; alone : whether no other trial runs on this machine meanwhile.
    checkpoint : where the state of training is kept, None for nowhere; checkpoint_rate : epochs between two writes.
    """

    key: str
    model: type[Recommender]
    params: Params
    monitor: str
    every: int
    digits: int | None
    threads: int
    alone: bool
    checkpoint: Path | None
    checkpoint_rate: int


@dataclass(frozen=True)
class Outcome:
    """What a trial gave.

    Attributes
    ----------
    record : for the journal, without the model's name and parameters. Either `epoch` (whose weights are kept; 0 of a
        model that is not trained), `validation` (`Metric@k` -> mean), `losses` (of each epoch), `history` (epoch and
        monitored value of each judgement), `stopped` (why training ended early, or None) and `parameters`; or
        `failed` (a sentence) and `why` (`diverged`, `out_of_memory`, `crashed` or `lost`). Always `cost`.
    weights : of the kept epoch, as the bytes of a safetensors file; empty for a failure.
    per_user : validation values (E,) of the kept epoch by `Metric@k`.
    """

    record: dict[str, Any]
    weights: bytes
    per_user: dict[str, np.ndarray]


def run_task(task: Task, ground: Ground, watch: Watch | None = None) -> Outcome:
    """Run a trial; short of memory, once more with smaller blocks of evaluation. Only Ctrl-C and the like escape."""
    torch.set_num_threads(task.threads)
    samples = 0

    def report(progress: Progress) -> None:
        nonlocal samples
        samples += progress.samples
        if watch is not None:
            watch(progress)

    device = ground.data.device
    with Meter(device, energy=task.alone) as meter:
        try:
            try:
                outcome = _run(task, ground, report)
            except Exception as error:
                if not _out_of_memory(error) or ground.validation is None:
                    raise
                logger.warning("{}: out of memory; once more, with half the scores held at a time", task.model.__name__)
                if device.type == "cuda":
                    torch.cuda.empty_cache()
                outcome = _run(task, Ground(ground.data, ground.validation.with_smaller_blocks()), report)
        except Exception as error:
            outcome = Outcome(_failure(error), b"", {})
    return Outcome(outcome.record | {"cost": meter.cost(samples or None).record()}, outcome.weights, outcome.per_user)


def _run(task: Task, ground: Ground, report: Watch) -> Outcome:
    params = task.params
    model = build(task.model, params, ground.data)
    judge = None if ground.validation is None else _judge(model, ground.validation, task.digits)
    if isinstance(model, TrainedRecommender):
        assert isinstance(params, TrainingParams)
        checkpoint = None
        if task.checkpoint is not None:
            checkpoint = Checkpoint(task.checkpoint, task.checkpoint_rate, task.key)
        result = fit(model, params, judge, task.monitor, task.every, report, checkpoint)
        record: dict[str, Any] = {"epoch": result.epoch, "validation": result.metrics, "losses": result.losses}
        record |= {"history": [list(each) for each in result.history], "stopped": result.stopped}
        state, per_user = result.state, result.per_user
    else:
        judgement = judge() if judge else Judgement({}, {})
        record = {"epoch": 0, "validation": judgement.metrics, "losses": [], "history": [], "stopped": None}
        state, per_user = snapshot(model), judgement.per_user
    record["parameters"] = sum(weight.numel() for weight in model.parameters())
    return Outcome(record, save({name: value.contiguous() for name, value in state.items()}), per_user)


def build(model: type[Recommender], params: Params, data: TrainingData) -> Recommender:
    """A model with fresh weights, drawn from the trial's seed (on the CPU, so that devices agree)."""
    seed_everything(params.seed)
    return model(params, data).to(data.device)


def _judge(model: Recommender, validation: Evaluator, digits: int | None) -> Callable[[], Judgement]:
    """Judges the present weights on validation."""

    def judge() -> Judgement:
        measured = validation.measure(validation.rank(model))
        means = measured.means
        if digits is not None:
            means = {name: round(value, digits) for name, value in means.items()}
        return Judgement(means, {name: values.cpu().numpy() for name, values in measured.per_user.items()})

    return judge


def _out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


def _failure(error: Exception) -> dict[str, Any]:
    """What the journal says of a trial that ended with an error."""
    text = str(error).strip().split("\n")[0]
    if isinstance(error, Diverged):
        return {"failed": text, "why": "diverged"}
    if _out_of_memory(error):
        return {"failed": f"out of memory: {text or type(error).__name__}", "why": "out_of_memory"}
    if isinstance(error, UserError):
        return {"failed": error.render(), "why": "crashed"}
    logger.error("".join(traceback.format_exception(error)))
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{Path(last.filename).name}:{last.lineno}"
    return {"failed": f"{type(error).__name__}: {text} ({where})", "why": "crashed"}
