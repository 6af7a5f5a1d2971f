"""One trial: a pure function of configuration, data and seed."""

from __future__ import annotations

import hashlib
import time
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import benchmark
from benchmark.evaluation import Evaluator
from benchmark.models.base import Params, Recommender, TrainedRecommender, TrainingData, TrainingParams
from benchmark.models.registry import model_file
from benchmark.training.loop import State, fit, snapshot
from workbench.files import fingerprint
from workbench.runtime import peak_memory_mb, seed_everything

Report = Callable[[int, float, float | None], None]


@dataclass(frozen=True)
class Protocol:
    """What a validation figure depends on besides model and parameters."""

    data: str  # fingerprint of the split
    metrics: tuple[str, ...]
    cutoffs: tuple[int, ...]
    threshold: float
    monitor: str
    every: int
    device: str
    candidates: str  # which items are ranked: all that are not masked, or the hash of those that were drawn
    digits: int | None  # decimals that are left before anything is chosen; None keeps all
    judge: str  # the part that chooses; `test` in another system's protocol only


class Stage(typing.Protocol):
    """What a trial runs on: the training data of one split, the raw ids of its users, and the judge that chooses."""

    @property
    def user_ids(self) -> Sequence[str]: ...

    @property
    def data(self) -> TrainingData: ...

    @property
    def validation(self) -> Evaluator | None: ...


@dataclass(frozen=True)
class Trial:
    """A model class with one set of parameters under one protocol, on one split.

    Attributes
    ----------
    features : modality -> hash of its features.
    stage : where the trial runs; `protocol.data` and `features` say the same in hashes.
    """

    name: str
    model: type[Recommender]
    params: Params
    protocol: Protocol
    features: dict[str, str]
    stage: Stage = field(compare=False, repr=False)
    code: str = field(init=False)

    def __post_init__(self) -> None:
        # now, not when the trial ends: a model file that is edited meanwhile is another trial
        object.__setattr__(self, "code", code_hash(self.model))

    @property
    def key(self) -> str:
        """Hash of everything that the outcome depends on, the code included."""
        parts = [
            self.name,
            self.params.model_dump(mode="json"),
            vars(self.protocol),
            list(self.features.items()),  # in the order in which the model joins them
            self.code,
        ]
        return fingerprint(parts)

    def build(self) -> Recommender:
        """The model with fresh weights, drawn from the trial's seed (on the CPU, so that devices agree)."""
        seed_everything(self.params.seed)
        return self.model(self.params, self.stage.data).to(self.stage.data.device)

    def under_seed(self, seed: int) -> Trial:
        """The same trial with another seed."""
        return replace(self, params=self.params.model_copy(update={"seed": seed}))


@dataclass(frozen=True)
class Outcome:
    """What a trial gave: the record for the journal, the weights of the chosen epoch, and its per-user values (E,)."""

    record: dict[str, Any]
    state: State
    per_user: dict[str, np.ndarray]


def run_trial(trial: Trial, report: Report) -> Outcome:
    """Train and judge. The record can be written to the journal as it is.

    Raises
    ------
    benchmark.models.base.Diverged : loss or scores are no longer numbers.
    """
    started = time.perf_counter()
    model = trial.build()
    validation = trial.stage.validation
    judge = None if validation is None else _Judge(trial, model, validation)
    record: dict[str, Any] = {"model": trial.name, "params": trial.params.model_dump(mode="json")}
    if isinstance(model, TrainedRecommender):
        assert isinstance(trial.params, TrainingParams)
        result = fit(model, trial.params, judge, trial.protocol.monitor, trial.protocol.every, report)
        state = result.state
        record |= {
            "epoch": result.epoch,
            "validation": result.metrics,
            "losses": result.losses,
            "history": result.history,
        }
    else:
        state = snapshot(model)
        record |= {"epoch": 0, "validation": judge() if judge else {}, "losses": [], "history": []}
    record["seconds"] = time.perf_counter() - started
    record["parameters"] = sum(weight.numel() for weight in model.parameters())
    record["peak_memory_mb"] = _peak_mb(trial.stage.data.device)
    return Outcome(record, state, judge.per_user if judge else {})


class _Judge:
    """Judges the present weights on validation, and keeps the per-user values of the best judgement, as `fit` does.

    Means are rounded where the protocol says so.
    """

    def __init__(self, trial: Trial, model: Recommender, validation: Evaluator) -> None:
        self._protocol, self._model, self._validation = trial.protocol, model, validation
        self._best: float | None = None
        self.per_user: dict[str, np.ndarray] = {}

    def __call__(self) -> dict[str, float]:
        measured = self._validation.measure(self._validation.rank(self._model))
        digits, means = self._protocol.digits, measured.means
        if digits is not None:
            means = {name: round(value, digits) for name, value in means.items()}
        value = means[self._protocol.monitor]
        if self._best is None or value > self._best:
            self._best = value
            self.per_user = {name: values.cpu().numpy() for name, values in measured.per_user.items()}
        return means


def code_hash(model: type[Recommender]) -> str:
    """Hash of what decides a trial's outcome beside its settings: the bench's own sources, the version of torch, the
    model's file and those of the models that it extends; of a user's model, every file of its folder."""
    shipped = Path(str(benchmark.__file__)).parents[1]
    own: set[Path] = set()
    for each in model.__mro__:
        if issubclass(each, Recommender):
            path = model_file(each).resolve()
            own |= {path} if shipped in path.parents else set(path.parent.glob("*.py"))
    digest = hashlib.sha256(_bench_hash().encode())
    for source in sorted(own):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _bench_hash() -> str:
    """Hash of the sources of data, models, training, judging and this file, and of the version of torch."""
    root = Path(str(benchmark.__file__)).parent
    sources = [path for part in ("data", "models", "training", "evaluation") for path in (root / part).rglob("*.py")]
    sources += [root / "measures.py", root / "experiment" / "judges.py", Path(__file__)]
    digest = hashlib.sha256(torch.__version__.encode())
    for source in sorted(sources):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def _peak_mb(device: torch.device) -> float:
    return torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else peak_memory_mb()
