"""The executor of a Ray cluster: on one machine, on two nodes of which one is killed."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from executor_cases import bench, die, drain, fail, judge, loads, lock, meet, note, process_of, product, say, shared

from benchmark.config.executor import RaySettings
from benchmark.search.executors import Executor, Job, Lost, ray_cluster
from benchmark.search.executors.serial import Serial
from benchmark.search.executors.streams import ArrayReader, ArrayWriter
from benchmark.search.executors.travel import WorkerTraceback, load_shared, perform, save_shared
from workbench.errors import UserError

JOBS = [Job(f"{name} {factor}", name, partial(product, factor=factor)) for factor in (1, 2, 3) for name in ("a", "bb")]


def on_ray(provider: Any = shared, **settings: Any) -> Executor:
    return ray_cluster.RayCluster(provider, "cpu", RaySettings(**settings))


@pytest.fixture(scope="module")
def machine() -> Iterator[Any]:
    """A Ray on this machine with two slots."""
    ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100 << 20)
    yield ray
    ray.shutdown()


# --- bytes in arrays


def test_a_shared_value_is_read_from_an_array() -> None:
    writer = ArrayWriter()
    save_shared(shared("x"), writer)
    array = writer.array().copy()
    array.setflags(write=False)  # as Ray hands it out
    value = load_shared(ArrayReader(array), "cpu", "cpu")  # type: ignore[arg-type]
    value["row"].fill_(7)
    assert value["weights"][1].tolist() == [7.0] * 4 and value["array"].tolist() == [0, 1, 2, 3, 4]


def test_the_reader_is_a_file() -> None:
    content = bytes(range(256)) * 40
    reader = ArrayReader(np.frombuffer(content, np.uint8))
    assert reader.read(5) == content[:5] and reader.tell() == 5
    assert reader.seek(-3, 2) == len(content) - 3 and reader.read() == content[-3:] and reader.read(4) == b""
    assert reader.seek(10) == 10 and reader.seek(2, 1) == 12 and reader.read(1000) == content[12:1012]


# --- without Ray


class Pretended:
    """A Ray that does every task at once and counts how often its nodes are looked at."""

    exceptions = SimpleNamespace(RayTaskError=KeyError, RayError=LookupError)

    def __init__(self) -> None:
        self.looks = self.stored = 0

    def is_initialized(self) -> bool:
        return True

    def nodes(self) -> list[dict[str, Any]]:
        self.looks += 1
        return [{"Alive": True, "Resources": {"CPU": 2.0}}, {"Alive": False, "Resources": {"CPU": 9.0}}]

    def remote(self, **limits: Any) -> Any:
        return lambda task: SimpleNamespace(remote=lambda *given: io.BytesIO(perform(given[4], lambda: shared("a"))))

    def put(self, value: Any) -> Any:
        self.stored += 1
        return value

    def wait(self, tasks: list[io.BytesIO], **limits: Any) -> tuple[list[io.BytesIO], list[io.BytesIO]]:
        return tasks[:1], tasks[1:]

    def get(self, task: io.BytesIO) -> tuple[bytes, list[tuple[str, str]]]:
        return task.getvalue(), []

    def cancel(self, task: io.BytesIO, force: bool) -> None:
        pass


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> Pretended:
    ray = Pretended()
    monkeypatch.setattr(ray_cluster, "_import_ray", lambda: ray)
    return ray


def test_the_nodes_are_looked_at_now_and_then(pretended: Pretended, monkeypatch: pytest.MonkeyPatch) -> None:
    executor = on_ray()
    assert executor.slots == 2
    jobs = [Job(str(number), "a", partial(product, factor=number)) for number in range(50)]
    assert len(drain(executor, jobs)) == 50
    assert pretended.looks < 5 and pretended.stored == 1
    looks, later = pretended.looks, time.monotonic() + 5
    monkeypatch.setattr(ray_cluster.time, "monotonic", lambda: later)
    assert executor.slots == 2 and pretended.looks == looks + 1


def test_a_long_queue_costs_no_more_for_each_job(pretended: Pretended) -> None:
    jobs = [Job(str(number), "a", JOBS[0].work) for number in range(20_000)]
    start = time.process_time()
    executor = on_ray()
    for job in jobs:
        executor.submit(job)
    for _ in range(4_000):
        executor.next()
    assert time.process_time() - start < 2


# --- one machine


@pytest.mark.heavy
def test_the_same_results_and_errors(machine: Any, log: list[str]) -> None:
    executor = on_ray()
    assert executor.slots == 2
    found, expected = drain(executor, JOBS), drain(Serial(shared), JOBS)
    assert found.keys() == expected.keys()
    for key in found:
        np.testing.assert_equal(found[key], expected[key])
    with pytest.raises(IndexError):
        executor.next()
    with pytest.raises(ArithmeticError, match="no a") as caught:
        drain(executor, [Job("f", "a", fail)])
    assert isinstance(caught.value.__cause__, WorkerTraceback) and "in fail\n" in str(caught.value.__cause__)
    lost = drain(executor, [Job("l", "a", lock)])["l"]
    assert isinstance(lost, Lost) and "cannot travel" in lost.reason
    del log[:]
    drain(executor, [Job("s", "a", say)])
    assert log == ["INFO a word from a", "WARNING two\nlines"]
    executor.close()
    assert machine.is_initialized(), "a Ray that was there before stays"


@pytest.mark.heavy
def test_values_are_read_once_by_a_worker_and_two_jobs_run_at_once(machine: Any, tmp_path: Path) -> None:
    executor = on_ray(loads(tmp_path / "log"))
    a, b = tmp_path / "a", tmp_path / "b"
    drain(executor, [Job("a", "x", meet(a, b)), Job("b", "x", meet(b, a))])
    drain(executor, [Job(str(number), "xy"[number % 2], process_of(tmp_path / "jobs")) for number in range(10)])
    lines = (tmp_path / "log").read_text().splitlines()
    assert len(lines) == len(set(lines))
    executor.close()


@pytest.mark.heavy
def test_a_worker_that_dies(machine: Any, tmp_path: Path, log: list[str]) -> None:
    executor = on_ray()
    jobs = [Job("once", "a", die(tmp_path / "once", 1)), Job("always", "a", die(tmp_path / "always", 9)), JOBS[0]]
    found = drain(executor, jobs)
    assert found["once"] == 2 and found[JOBS[0].key]["name"] == "a"
    assert isinstance(found["always"], Lost) and "twice" in found["always"].reason
    assert len((tmp_path / "always").read_text().splitlines()) == 2
    assert sum("done again" in line for line in log) == 2
    executor.close()


@pytest.mark.heavy
def test_the_bench_gives_the_identical_figures(machine: Any) -> None:
    executor = on_ray(bench)
    assert drain(executor, [Job(name, name, judge) for name in ("1", "2")]) == {n: judge(bench(n)) for n in ("1", "2")}
    executor.close()


@pytest.mark.heavy
def test_close_ends_what_is_being_done(machine: Any, tmp_path: Path) -> None:
    def work(value: Any) -> None:
        note(tmp_path / "begun", os.getpid())
        time.sleep(60)

    executor = on_ray()
    executor.submit(Job("a", "a", work))
    while not (tmp_path / "begun").exists():
        time.sleep(0.01)
    executor.close()
    again = on_ray()
    assert len(drain(again, JOBS)) == len(JOBS)
    again.close()


@pytest.mark.heavy
@pytest.mark.parametrize("wants", [{"gpus_per_trial": 0.1}, {"cpus_per_trial": 64}])
def test_what_fits_no_node_is_said_at_once(machine: Any, wants: dict[str, float]) -> None:
    with pytest.raises(UserError, match=r"no node of the Ray cluster has them \(2 CPUs, 0 GPUs\)"):
        on_ray(**wants)


@pytest.mark.heavy
def test_the_working_folder_and_the_search_path_are_the_drivers(
    machine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "only_here.py").write_text("answer = 42\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    def work(value: Any) -> tuple[str, int]:
        import only_here  # type: ignore[import-not-found]

        return os.getcwd(), only_here.answer  # noqa: PTH109

    executor = on_ray()
    assert drain(executor, [Job("w", "a", work)])["w"] == (str(tmp_path), 42)
    executor.close()


# --- no cluster


@pytest.mark.parametrize("address", ["127.0.0.1:1", "auto"])
def test_no_cluster_is_said_at_once(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(UserError, match=r"(?s)no Ray cluster at '127\.0\.0\.1:1': .*ray start --head"):
        ray_cluster.RayCluster(shared, "cpu", RaySettings(address=address))


# --- two nodes


@pytest.mark.heavy
def test_a_node_is_lost_in_mid_sweep(tmp_path: Path) -> None:
    """In a process of its own: this one may be connected to another Ray."""
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    script = f"import sys; sys.path[:0] = {sys.path!r}\nfrom test_executors_ray import lose_a_node\n"
    script += f"lose_a_node({str(tmp_path)!r})"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.splitlines()[-1] == "all the same"
    assert "done again" in run.stderr


def lose_a_node(place: str) -> None:
    """A sweep on two nodes of which one is killed while both work; then a third comes."""
    from ray.cluster_utils import Cluster

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    log = Path(place) / "nodes"

    def work(value: dict[str, Any], factor: int) -> dict[str, Any]:
        import ray

        node = ray.get_runtime_context().get_node_id()
        note(log, f"{node} begins")
        time.sleep(1)
        note(log, f"{node} ends")
        return product(value, factor)

    def at_work(node: str) -> bool:
        lines = log.read_text().splitlines()
        return lines.count(f"{node} begins") > lines.count(f"{node} ends")

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 100 << 20})
    second = cluster.add_node(num_cpus=1, object_store_memory=100 << 20)
    jobs = [Job(str(number), "ab"[number % 2], partial(work, factor=number)) for number in range(12)]
    executor = on_ray(address=cluster.address)
    assert executor.slots == 2
    for job in jobs:
        executor.submit(job)
    found: dict[str, Any] = {}
    while len(found) < 2 or not at_work(second.node_id):
        job, result = executor.next()
        found[job.key] = result
        time.sleep(0.3)  # the next one begins
        assert len(found) < 8
    cluster.remove_node(second, allow_graceful=False)
    for _ in range(3):
        job, result = executor.next()
        found[job.key] = result
    cluster.add_node(num_cpus=1, object_store_memory=100 << 20)
    while len(found) < len(jobs):
        job, result = executor.next()
        found[job.key] = result
    expected = {job.key: product(shared(job.shared), int(job.key)) for job in jobs}
    for key in expected:
        np.testing.assert_equal(found[key], expected[key])
    print(len({line.split()[0] for line in log.read_text().splitlines()}), "nodes")
    executor.close()
    cluster.shutdown()
    print("all the same")
