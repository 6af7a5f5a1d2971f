"""What is computed once for all processes and runs: the store of derived tensors."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import torch
from alignment_cases import on, views
from executor_cases import drain, note, wait_for
from experiment_cases import QUICK, experiment
from loguru import logger
from torch import Tensor

from benchmark.experiment import run_experiment
from benchmark.folder import DERIVED
from benchmark.kept import keep
from benchmark.models.base import TrainingData
from benchmark.search.executors import Job
from benchmark.search.executors.processes import Processes

Tensors = dict[str, Tensor]


def some() -> Tensors:
    return {"x": torch.arange(6.0).reshape(2, 3), "empty": torch.zeros(0), "mask": torch.tensor([True, False])}


def equal(one: Tensors, other: Tensors) -> bool:
    return set(one) == set(other) and all(torch.equal(one[name], other[name]) for name in one)


def never() -> Tensors:
    raise AssertionError("it is there")


@pytest.fixture
def warned() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(str(line)), level="WARNING", format="{message}")
    yield lines
    logger.remove(sink)


def test_what_is_there_is_read_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    assert equal(keep(folder, "k", some), some())
    assert [path.suffix for path in folder.iterdir()] == [".safetensors"]
    assert equal(keep(folder, "k", never), some())
    keep(folder, "other", some)
    assert len(list(folder.iterdir())) == 2


def truncated(path: Path, other: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def flipped(path: Path, other: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def foreign(path: Path, other: Path) -> None:
    path.write_bytes(other.read_bytes())


def nonsense(path: Path, other: Path) -> None:
    path.write_bytes(b"\xff" * 100)


@pytest.mark.parametrize("spoil", [truncated, flipped, foreign, nonsense])
def test_files_that_are_not_whole_or_not_ours_are_made_anew(
    tmp_path: Path, warned: list[str], spoil: Callable[[Path, Path], None]
) -> None:
    keep(tmp_path, "k", some)
    (path,) = tmp_path.iterdir()
    keep(tmp_path, "other", lambda: {"x": torch.ones(3)})
    (other,) = set(tmp_path.iterdir()) - {path}
    spoil(path, other)
    (tmp_path / f".{path.name}.1234.tmp").write_bytes(b"cut short")
    assert equal(keep(tmp_path, "k", some), some())
    assert len(warned) == 1 and str(path) in warned[0] and "made anew" in warned[0]
    assert equal(keep(tmp_path, "k", never), some())
    assert set(tmp_path.iterdir()) == {path, other}


def test_where_nothing_can_be_written_it_is_only_computed(tmp_path: Path, warned: list[str]) -> None:
    (tmp_path / "store").write_text("a file")
    assert equal(keep(tmp_path / "store", "k", some), some())
    assert len(warned) == 1 and "not kept" in warned[0]


def test_on_a_machine_without_the_folder_nothing_is_written(tmp_path: Path, warned: list[str]) -> None:
    assert equal(keep(tmp_path / "results" / "store", "k", some), some())
    assert not warned and not list(tmp_path.iterdir())


def test_an_error_leaves_the_way_free(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        keep(tmp_path, "k", never)
    assert not list(tmp_path.iterdir())
    assert equal(keep(tmp_path, "k", some), some())


def test_the_lock_of_a_dead_process_is_no_hindrance(tmp_path: Path) -> None:
    keep(tmp_path, "k", some)
    (path,) = tmp_path.iterdir()
    path.unlink()
    path.with_suffix(".lock").write_text('{"pid": 1, "host": "gone", "since": "00:00:00"}')
    assert equal(keep(tmp_path, "k", some), some())
    assert list(tmp_path.iterdir()) == [path]


def test_data_keep_in_memory_where_they_have_no_store() -> None:
    data = on(views(5, (3,)))
    made = data.kept("k", some)
    assert equal(made, some()) and data.kept("k", never) is made


def test_data_with_a_store_share_it(tmp_path: Path) -> None:
    modalities = views(5, (3,))
    on(modalities, tmp_path).kept("k", some)
    assert equal(on(modalities, tmp_path).kept("k", never), some())


def shared_data(folder: Path, name: str) -> TrainingData:
    return on(views(20, (4, 3)), folder / "store")


def slowly_kept(marks: Path, number: int, data: TrainingData) -> float:
    """Both jobs are at it before either is done."""
    note(marks / f"began {number}", "here")

    def make() -> Tensors:
        note(marks / "made", os.getpid())
        (other,) = {marks / "began 0", marks / "began 1"} - {marks / f"began {number}"}
        wait_for(other)
        time.sleep(0.2)
        return {"x": torch.rand(3)}

    return float(data.kept("slow", make)["x"].sum())


def test_of_several_one_computes_and_the_others_wait(tmp_path: Path) -> None:
    """Threads with data of their own: a lock is between openings of its file, not between processes."""

    def work(number: int) -> float:
        return slowly_kept(tmp_path, number, shared_data(tmp_path, "data"))

    with ThreadPoolExecutor(2) as pool:
        values = set(pool.map(work, range(2)))
    assert len(values) == 1
    assert len((tmp_path / "made").read_text().splitlines()) == 1
    assert len(list((tmp_path / "store").iterdir())) == 1


@pytest.mark.heavy
def test_of_several_processes_one_computes_and_the_others_wait(tmp_path: Path) -> None:
    pool = Processes(partial(shared_data, tmp_path), "cpu", ["cpu"], 2)
    try:
        jobs = [Job(str(number), "data", partial(slowly_kept, tmp_path, number)) for number in range(2)]
        values = set(drain(pool, jobs).values())
    finally:
        pool.close()
    assert len(values) == 1
    assert len((tmp_path / "made").read_text().splitlines()) == 1
    assert len(list((tmp_path / "store").iterdir())) == 1


MODEL = """
from benchmark.models import TrainedRecommender, TrainingParams, UniformUserTriples, bpr_loss
from benchmark.models.alignment import AlignmentParams, align
from benchmark.models.base import dot_product_scorer
from torch import nn
import torch

class Aligned(TrainedRecommender):
    class Params(TrainingParams):
        factors: int = 3

    def __init__(self, params, data):
        super().__init__()
        self.data = data
        self.items = align(data, data.features, params.factors, AlignmentParams(method="cca"), params.seed).vectors[0]
        self.users = nn.Parameter(torch.zeros(data.n_users, params.factors))

    def sampler(self):
        return UniformUserTriples(self.data)

    def loss(self, batch):
        users = self.users[batch.users]
        return bpr_loss((users * self.items[batch.positives]).sum(-1), (users * self.items[batch.negatives]).sum(-1))

    def scorer(self):
        return dot_product_scorer(self.users, self.items)
"""


def test_a_grid_and_the_next_run_repeat_nothing(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (shop / "mine").mkdir()
    (shop / "mine" / "aligned.py").write_text(MODEL)
    models = {"Aligned": {**QUICK, "factors": 3, "lr": [0.01, 0.1]}}
    run_experiment(experiment(shop, models, external_models_path="../mine"))
    store = shop / "results" / "shop" / DERIVED
    (kept,) = store.iterdir()
    before = kept.stat().st_mtime_ns
    monkeypatch.setattr("benchmark.models.alignment.stage._check", never)
    run_experiment(experiment(shop, {"Aligned": {**models["Aligned"], "lr": 1.0}}, "y", external_models_path="../mine"))
    assert list(store.iterdir()) == [kept] and kept.stat().st_mtime_ns == before
