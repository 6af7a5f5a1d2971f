"""Small models to train, and judges that follow a script; `python training_cases.py FILE` trains one to be killed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_cases import training_data
from torch import Tensor, nn

from benchmark.models.base import TrainedRecommender, TrainingData, TrainingParams
from benchmark.models.samplers import Triples, UniformUserTriples
from benchmark.training.checkpoint import Checkpoint
from benchmark.training.loop import Fit, Judgement, Progress, fit
from workbench.runtime import seed_everything

GRAPH = [[0, 3], [1], [2, 3, 4], [0, 5], [1, 2]]


class Counter(TrainedRecommender):
    """One weight that goes up by about `lr` a step, three steps an epoch; `script` may replace an epoch's factor."""

    def __init__(self, script: dict[int, float] | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.epoch, self.script = 0, script or {}
        self.epochs_seen: list[int] = []
        self.modes: list[bool] = []
        self.rates: list[float] = []

    def sampler(self) -> Any:
        class Three:
            def batches(self, size: int, generator: torch.Generator) -> Iterator[int]:
                self.sizes.append(size)  # type: ignore[attr-defined]
                yield from range(3)

            def __len__(self) -> int:
                return 99

        three = Three()
        three.sizes = self.sizes = []  # type: ignore[attr-defined]
        return three

    def on_epoch_start(self, epoch: int, generator: torch.Generator) -> None:
        self.epoch = epoch
        self.epochs_seen.append(epoch)

    def loss(self, batch: int) -> Tensor:
        self.modes.append(self.training)
        return -self.weight.sum() * self.script.get(self.epoch, 1.0) + batch


class Noisy(TrainedRecommender):
    """Uses every source of chance that a model may: initialisation, sampler, dropout, a buffer drawn each epoch."""

    noise: Tensor

    def __init__(self, data: TrainingData) -> None:
        super().__init__()
        self.data = data
        self.users = nn.Parameter(nn.init.xavier_uniform_(torch.empty(data.n_users, 4)))
        self.items = nn.Parameter(nn.init.xavier_uniform_(torch.empty(4, data.n_items)).t())  # walked column by column
        self.mix = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.3))
        self.register_buffer("noise", torch.zeros(4))

    def sampler(self) -> UniformUserTriples:
        return UniformUserTriples(self.data)

    def on_epoch_start(self, epoch: int, generator: torch.Generator) -> None:
        self.noise += 0.1 * torch.randn(4, generator=generator)

    def loss(self, batch: Triples) -> Tensor:
        users = self.mix(self.users[batch.users] + self.noise)
        return nn.functional.softplus(
            (users * (self.items[batch.negatives] - self.items[batch.positives])).sum(-1)
        ).mean()


def noisy(seed: int) -> Noisy:
    """A fresh model, as a trial builds it."""
    seed_everything(seed)
    return Noisy(training_data(GRAPH, 6))


def judged(model: Noisy) -> Callable[[], Judgement]:
    """A judge whose figures are a jagged function of the weights, and nothing else."""

    def judge() -> Judgement:
        with torch.no_grad():
            per_user = torch.sin(40 * model.users.double()).sum(1).numpy()
        return Judgement(
            {"Recall@5": float(per_user.mean()), "nDCG@5": float(per_user.max())},
            {"nDCG@5": -per_user, "Recall@5": per_user},
        )

    return judge


def scripted(values: Sequence[float], name: str = "Recall@5") -> Callable[[], Judgement]:
    """A judge that reads its figures from a list."""
    given = iter(values)
    return lambda: Judgement({name: next(given)}, {})


def train(
    seed: int, every: int, checkpoint: Checkpoint | None, tell: Callable[[Progress], None], **params: Any
) -> tuple[Fit, Noisy]:
    """A fresh noisy model, trained; returns what came of it and the model as training left it."""
    model = noisy(seed)
    checked = TrainingParams(seed=seed, **{"batch_size": 4, "lr": 0.05, **params})
    return fit(model, checked, judged(model), "Recall@5", every, tell, checkpoint), model


def same_fit(one: Fit, other: Fit) -> None:
    """Assert that two trainings came to the same, to the last bit."""
    for name in ("epoch", "metrics", "losses", "history", "stopped"):
        assert getattr(one, name) == getattr(other, name), name
    same_tensors(one.state, other.state)
    assert list(one.per_user) == list(other.per_user)
    for name, values in one.per_user.items():
        assert values.dtype == other.per_user[name].dtype
        assert np.array_equal(values, other.per_user[name])


def same_tensors(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert list(one) == list(other)
    assert all(torch.equal(one[name], other[name]) for name in one)


KILLED: dict[str, Any] = {"epochs": 60, "optimizer": "adamw", "weight_decay": 0.01, "seed": 3, "every": 2}


def _tell(progress: Progress) -> None:
    print(progress.epoch, flush=True)
    time.sleep(0.05)


if __name__ == "__main__":
    torch.set_num_threads(1)
    train(checkpoint=Checkpoint(Path(sys.argv[1]), 3, "a trial"), tell=_tell, **KILLED)
