"""Work for executors: functions that a worker can import, and small shared values."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_cases import drawn_interactions, training_data
from loguru import logger
from safetensors.torch import load
from threadpoolctl import threadpool_info

from benchmark.data.dataset import Csr
from benchmark.evaluation import Evaluator
from benchmark.evaluation.catalogue import Catalogue
from benchmark.evaluation.metrics.complex import Dice, Sources
from benchmark.models.base import Params, Recommender, Scorer, TrainingData
from benchmark.search.executors import Executor, Job
from benchmark.search.running import Ground, Task, run_task


def shared(name: str) -> dict[str, Any]:
    """A provider: tensors that share memory, an array, and a closure."""
    seed = len(name)
    weights = torch.arange(12.0).reshape(3, 4) + seed
    return {
        "name": name,
        "weights": weights,
        "row": weights[1],
        "array": np.arange(5) * seed,
        "add": lambda x: x + seed,
    }


def product(value: dict[str, Any], factor: int) -> dict[str, Any]:
    total = float((value["weights"] * factor).sum() + value["array"].sum())
    return {"name": value["name"], "total": value["add"](total), "row": value["row"].numpy() * factor}


def wait_for(path: Path, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path} did not come"
        time.sleep(0.005)


def note(path: Path, text: object) -> None:
    with path.open("a") as stream:
        stream.write(f"{text}\n")


def process_of(path: Path) -> Any:
    """Note which process is here, and stay a while."""

    def work(value: Any) -> int:
        note(path, os.getpid())
        time.sleep(0.05)
        return os.getpid()

    return work


def meet(mine: Path, other: Path) -> Any:
    """Ends only if the other job runs at the same time."""

    def work(value: Any) -> str:
        note(mine, "here")
        wait_for(other)
        return mine.name

    return work


def die(path: Path, times: int, how: int = signal.SIGKILL) -> Any:
    """Kills its worker that many times, then returns how often it was begun."""

    def work(value: Any) -> int:
        note(path, os.getpid())
        begun = len(path.read_text().splitlines())
        if begun <= times:
            os.kill(os.getpid(), how)
            time.sleep(30)
        return begun

    return work


class Odd(Exception):
    """An exception that can be pickled and not read."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} is odd")


def fail(value: Any) -> None:
    raise ArithmeticError(f"no {value['name']}")


def fail_oddly(value: Any) -> None:
    raise Odd(1, 2)


def lock(value: Any) -> Any:
    import threading

    return threading.Lock()


def say(value: Any) -> None:
    logger.info("a word from {}", value["name"])
    logger.warning("two\nlines")
    logger.debug("not for everybody")


def loads(path: Path) -> Any:
    """A provider of values that note each time they are read."""

    def provide(name: str) -> Any:
        return Noting(path, name)

    return provide


class Noting:
    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        note(self.path, f"{os.getpid()} {self.name}")


def drain(executor: Executor, jobs: list[Job]) -> dict[str, Any]:
    """Results by key, in the order in which they came."""
    for job in jobs:
        executor.submit(job)
    return {job.key: result for job, result in (executor.next() for _ in jobs)}


class Fixed(Recommender):
    """Scores that are a function of the data."""

    def __init__(self, params: Params, data: TrainingData) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.rand(data.n_users, data.n_items, generator=torch.manual_seed(3)))
        self.features = data.features["visual"].values

    def scorer(self) -> Scorer:
        return lambda users: self.weight[users] + self.features.mean(1)


def bench(name: str) -> tuple[TrainingData, Evaluator]:
    """What trials run on: training data with features, and a judge whose metrics hold closures and a catalogue."""
    drawn = drawn_interactions(int(name), n_users=20, n_items=30)
    order = np.argsort(drawn.users, kind="stable")
    users, items, ratings = drawn.users[order], drawn.items[order], drawn.ratings[order]
    held = np.arange(len(users)) % 3 == 0
    train, part = (Csr.build(users[rows], items[rows], ratings[rows], 20) for rows in (~held, held))
    rng = np.random.default_rng(0)
    features = {"visual": rng.standard_normal((30, 4)).astype(np.float32)}
    data = training_data([row.tolist() for row in np.split(train.items, train.indptr[1:-1])], 30, features)
    device = torch.device("cpu")
    dice = Dice(metric="DSC", beta=2.0).build(Sources([], [], device))
    catalogue = Catalogue.build(train, 30, device)
    metrics = ["Recall", "nDCG", "Gini", "EFD", "APLT", "AUC", dice]
    return data, Evaluator(part, [train], 30, 30, metrics, [5, 10], device, catalogue=catalogue)


class Counting(Fixed):
    """Notes how many threads torch and the BLAS of NumPy and SciPy may use, and how many cores torch kept busy."""

    def __init__(self, params: Params, data: TrainingData) -> None:
        super().__init__(params, data)
        matrix = torch.rand(600, 600)
        seconds, busy = time.perf_counter(), time.process_time()
        for _ in range(40):
            matrix = torch.nn.functional.normalize(matrix @ matrix)
        busy = (time.process_time() - busy) / (time.perf_counter() - seconds)
        self.found = torch.nn.Parameter(torch.tensor([float(torch.get_num_threads()), busy, *blas_threads()]))


def blas_threads() -> list[float]:
    """Of each BLAS that is loaded."""
    return [float(each["num_threads"]) for each in threadpool_info() if each["user_api"] == "blas"]


def count_threads(value: tuple[TrainingData, Evaluator], threads: int) -> list[float]:
    """A trial of `Counting` as a sweep runs it: torch's threads, the cores that it kept busy, the threads of BLAS."""
    task = Task("t", Counting, Params(), "Recall@5", 1, None, threads, True, None, 0)
    return load(run_task(task, Ground(*value)).weights)["found"].tolist()


def judge(value: tuple[TrainingData, Evaluator]) -> dict[str, float]:
    data, evaluator = value
    return evaluator.means(Fixed(Params(), data))
