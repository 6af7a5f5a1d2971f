"""One trial is run: built, trained, judged, and what it took; whatever goes wrong is an outcome, too."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.linalg  # noqa: F401  # only a BLAS that is there is bounded
import torch
from loguru import logger
from safetensors.torch import save
from threadpoolctl import threadpool_limits

from benchmark.evaluation import Evaluator
from benchmark.models.base import Diverged, Params, Recommender, TrainedRecommender, TrainingData, TrainingParams
from benchmark.training.checkpoint import Checkpoint
from benchmark.training.loop import Judgement, Progress, fit, snapshot
from workbench.cost import Cost, Meter
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
    key : of its state in training: hash of what weights and judgements depend on.
    monitor : the metric that chooses the epoch; every : epochs between judgements.
    digits : decimals of the judgements that are left before anything is chosen, None for all.
    threads : of the processor, for torch and for the BLAS of NumPy and SciPy.
    alone : whether no other trial runs on this machine meanwhile.
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
    checkpoint = None
    if task.checkpoint is not None:
        checkpoint = Checkpoint(task.checkpoint, task.checkpoint_rate, task.key)
    with threadpool_limits(task.threads, "blas"), Meter(ground.data.device, energy=task.alone) as meter:
        spent = Spent(meter)

        def report(progress: Progress) -> None:
            spent.samples += progress.samples
            if watch is not None:
                watch(progress)

        if checkpoint is not None:
            checkpoint.ledger = spent
        outcome = _attempt(task, ground, report, checkpoint)
        if outcome.record.get("why") == "out_of_memory" and ground.validation is not None:
            logger.warning("{}: out of memory; once more, with half the scores held at a time", task.model.__name__)
            free_memory(ground.data.device)
            smaller = Ground(ground.data, ground.validation.with_smaller_blocks())
            outcome = _attempt(task, smaller, report, checkpoint)
    return Outcome(outcome.record | {"cost": spent.cost().record()}, outcome.weights, outcome.per_user)


class Spent:
    """What a trial has taken: since a meter began, and before the kill that it goes on after."""

    def __init__(self, meter: Meter) -> None:
        self._meter, self.samples = meter, 0
        self._before: dict[str, Any] = {}

    def cost(self) -> Cost:
        """All of it."""
        now, before = self._meter.cost(), self._before
        seconds = now.seconds + before.get("seconds", 0.0)
        return Cost(
            seconds,
            now.cpu_seconds + before.get("cpu_seconds", 0.0),
            max(now.peak_memory_mb, before.get("peak_memory_mb", 0.0)),
            None if now.gpu_memory_mb is None else max(now.gpu_memory_mb, before.get("gpu_memory_mb") or 0.0),
            None if now.energy_joules is None else now.energy_joules + (before.get("energy_joules") or 0.0),
            self.samples / seconds if self.samples else None,
        )

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return self.cost().record() | {"samples": self.samples}

    def restore(self, state: dict[str, Any]) -> None:
        """What a checkpoint says was spent before."""
        self._before = state
        self.samples = state["samples"]


def free_memory(device: torch.device) -> None:
    """Give back what nothing refers to any longer."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _attempt(task: Task, ground: Ground, report: Watch, checkpoint: Checkpoint | None) -> Outcome:
    """A run whose errors are outcomes. An error holds on to all that was there when it was raised, so none leaves."""
    try:
        return _run(task, ground, report, checkpoint)
    except (Exception, SystemExit) as error:
        return Outcome(failure(error), b"", {})


def _run(task: Task, ground: Ground, report: Watch, checkpoint: Checkpoint | None) -> Outcome:
    params = task.params
    model = build(task.model, params, ground.data)
    judge = None if ground.validation is None else _judge(model, ground.validation, task.digits)
    if isinstance(model, TrainedRecommender):
        assert isinstance(params, TrainingParams)
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


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory is short."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


def failure(error: BaseException) -> dict[str, Any]:
    """`failed` and `why` for an error; one that nobody foresaw is logged with its traceback."""
    text = str(error).strip().split("\n")[0]
    if isinstance(error, Diverged):
        return {"failed": text, "why": "diverged"}
    if out_of_memory(error):
        return {"failed": f"out of memory: {text or type(error).__name__}", "why": "out_of_memory"}
    if isinstance(error, UserError):
        return {"failed": error.render(), "why": "crashed"}
    if isinstance(error, SystemExit):
        return {"failed": f"the model called sys.exit({error.code!r})", "why": "crashed"}
    logger.error("".join(traceback.format_exception(error)))
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "site-packages" not in Path(frame.filename).parts] or frames
    where = f"{Path(own[-1].filename).name}:{own[-1].lineno}"
    return {"failed": f"{type(error).__name__}: {text} ({where})", "why": "crashed"}
