"""Executors: the same jobs, in this process and in others; what happens when those die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from executor_cases import (
    bench,
    count_threads,
    die,
    drain,
    fail,
    fail_oddly,
    judge,
    loads,
    lock,
    meet,
    process_of,
    product,
    say,
    shared,
    wait_for,
)
from support import ROOT

from benchmark.models.registry import find_model
from benchmark.search.executors import Executor, Job, Lost
from benchmark.search.executors.processes import Processes
from benchmark.search.executors.serial import Serial
from benchmark.search.executors.travel import Recent, WorkerTraceback, load_shared, save_shared
from workbench.errors import UserError

JOBS = [Job(f"{name} {factor}", name, partial(product, factor=factor)) for factor in (1, 2, 3) for name in ("a", "bb")]


def pool(provider: Any = shared, workers: int = 2) -> Processes:
    return Processes(provider, "cpu", ["cpu"], workers)


@pytest.fixture
def two() -> Iterator[Processes]:
    executor = pool()
    yield executor
    executor.close()


@pytest.fixture
def one() -> Iterator[Processes]:
    executor = pool(workers=1)
    yield executor
    executor.close()


def same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one.keys() == other.keys()
    for key in one:
        np.testing.assert_equal(one[key], other[key])


# --- any executor


def test_serial_works_jobs_off_in_their_order() -> None:
    executor: Executor = Serial(shared)
    found = drain(executor, JOBS)
    assert list(found) == [job.key for job in JOBS]
    assert found["bb 3"]["total"] == (66 + 12 * 2) * 3 + 20 + 2
    with pytest.raises(IndexError):
        executor.next()
    with pytest.raises(ArithmeticError, match="no a"):
        drain(executor, [Job("f", "a", fail)])


def test_processes_give_the_same_results(two: Processes) -> None:
    executor: Executor = two
    assert executor.slots == 2
    same(drain(executor, JOBS), drain(Serial(shared), JOBS))
    with pytest.raises(IndexError):
        executor.next()


def test_jobs_begin_in_their_order(one: Processes) -> None:
    assert list(drain(one, JOBS)) == [job.key for job in JOBS]


def test_slots_are_parallel_and_one_slow_job_holds_up_no_other(two: Processes, tmp_path: Path) -> None:
    a, b, c = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    jobs = [Job("a", "a", meet(a, c)), Job("b", "a", meet(b, a)), Job("c", "a", meet(c, b))]
    assert list(drain(two, jobs).values()).index("b") == 0


def test_workers_are_kept(two: Processes, tmp_path: Path) -> None:
    found = drain(two, [Job(str(number), "a", process_of(tmp_path / "log")) for number in range(8)])
    assert len(set(found.values())) == 2 and os.getpid() not in found.values()


def test_a_long_queue_costs_no_more_for_each_job(one: Processes) -> None:
    one.submit(Job("first", "a", lambda value: time.sleep(60)))
    work = JOBS[0].work
    start = time.process_time()
    for number in range(10_000):
        one.submit(Job(str(number), "a", work))
    assert time.process_time() - start < 1


@pytest.mark.parametrize("threads", [1, 2])
def test_a_worker_computes_with_the_threads_of_its_trial(threads: int) -> None:
    executor = pool(bench, workers=1)
    try:
        allowed, busy, *blas = drain(executor, [Job("t", "1", partial(count_threads, threads=threads))])["t"]
    finally:
        executor.close()
    assert allowed == threads
    assert busy < threads + 0.3
    assert blas and set(blas) == {threads}


# --- results and errors


def test_an_exception_is_raised_with_the_traceback_of_the_worker(one: Processes) -> None:
    one.submit(Job("f", "a", fail))
    one.submit(Job("g", "a", fail_oddly))
    one.submit(JOBS[0])
    with pytest.raises(ArithmeticError, match="no a") as caught:
        one.next()
    assert isinstance(caught.value.__cause__, WorkerTraceback)
    assert "in fail\n" in str(caught.value.__cause__)
    with pytest.raises(RuntimeError, match="Odd: 1 is odd"):
        one.next()
    assert one.next()[0] == JOBS[0], "the worker goes on"


def test_the_sentences_of_user_errors_survive(one: Processes) -> None:
    def refuse(value: Any) -> None:
        raise UserError("wrong", where="x.yml:3", mend="mend it")

    with pytest.raises(UserError) as caught:
        drain(one, [Job("f", "a", refuse)])
    assert (caught.value.what, caught.value.where, caught.value.mend) == ("wrong", "x.yml:3", "mend it")


def test_a_result_that_cannot_travel_is_lost(one: Processes) -> None:
    found = drain(one, [Job("l", "a", lock), JOBS[0]])
    assert isinstance(found["l"], Lost) and "cannot travel" in found["l"].reason and "lock" in found["l"].reason
    assert found[JOBS[0].key]["name"] == "a"


def test_what_a_job_logs_is_logged_here(two: Processes, log: list[str]) -> None:
    drain(two, [Job("s", "a", say)])
    assert log == ["INFO a word from a", "WARNING two\nlines"]


def test_a_large_result_and_a_large_job(two: Processes) -> None:
    zeros = np.zeros(3_000_000)
    found = drain(two, [Job(str(number), "a", lambda value: zeros + 1) for number in range(3)])
    assert all(each.sum() == 3_000_000 for each in found.values())


# --- deaths


def test_a_job_whose_worker_dies_runs_again_and_others_are_not_disturbed(
    two: Processes, tmp_path: Path, log: list[str]
) -> None:
    drain(two, [Job("warm", "a", lambda value: None)])
    others = [Job(str(number), "a", process_of(tmp_path / "others")) for number in range(6)]
    found = drain(two, [Job("d", "a", die(tmp_path / "d", 1)), *others])
    assert found["d"] == 2 and len(found) == 7
    assert len((tmp_path / "others").read_text().splitlines()) == 6, "none of the others ran twice"
    assert any("SIGKILL" in line and "done again" in line for line in log)


@pytest.mark.parametrize(("how", "name"), [(signal.SIGKILL, "SIGKILL"), (signal.SIGSEGV, "SIGSEGV")])
def test_a_job_that_ends_its_worker_twice_is_lost(two: Processes, tmp_path: Path, how: int, name: str) -> None:
    found = drain(two, [Job("d", "a", die(tmp_path / "d", 9, how)), JOBS[0]])
    assert isinstance(found["d"], Lost) and name in found["d"].reason and "twice" in found["d"].reason
    assert len((tmp_path / "d").read_text().splitlines()) == 2
    assert found[JOBS[0].key]["name"] == "a"


def test_a_job_that_leaves_is_lost(one: Processes) -> None:
    found = drain(one, [Job("e", "a", lambda value: os._exit(7)), JOBS[0]])
    assert found["e"] == Lost("its worker ended with status 7, twice")


def test_a_worker_that_dies_idle_costs_nothing(one: Processes, tmp_path: Path) -> None:
    worker = drain(one, [Job("p", "a", process_of(tmp_path / "p"))])["p"]
    os.kill(worker, signal.SIGKILL)
    gone(worker)
    found = drain(one, [Job("q", "a", process_of(tmp_path / "p"))])
    assert isinstance(found["q"], int) and found["q"] != worker


def gone(process: int, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while Path(f"/proc/{process}").exists() and "zombie" not in Path(f"/proc/{process}/status").read_text():
        assert time.monotonic() < end, f"process {process} is still there"
        time.sleep(0.01)


def asleep(path: Path) -> Any:
    def work(value: Any) -> None:
        path.write_text(str(os.getpid()))
        time.sleep(60)

    return work


def test_close_ends_what_is_being_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    executor = pool()
    assert not (tmp_path / "a").exists() and list((tmp_path / "tmp").iterdir())
    for name in ("a", "b", "c"):
        executor.submit(Job(name, "a", asleep(tmp_path / name)))
    wait_for(tmp_path / "a")
    wait_for(tmp_path / "b")
    start = time.monotonic()
    executor.close()
    assert time.monotonic() - start < 1.5
    nothing_is_left(tmp_path)
    for name in ("a", "b"):
        gone(int((tmp_path / name).read_text()))
    executor.close()


def deaf(path: Path) -> Any:
    def work(value: Any) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        path.touch()
        time.sleep(60)

    return work


def test_workers_that_do_not_listen_are_ended_together(tmp_path: Path) -> None:
    executor = pool(workers=6)
    for number in range(6):
        executor.submit(Job(str(number), "a", deaf(tmp_path / str(number))))
    for number in range(6):
        wait_for(tmp_path / str(number))
    start = time.monotonic()
    executor.close()
    assert time.monotonic() - start < 1.5


SCRIPT = """
import os, signal, sys, time
from pathlib import Path
sys.path[:0] = {paths!r}
import test_executors
from benchmark.search.executors import Job
place = Path({place!r})
def provider(name):
    if name == "deadly":
        os.kill(os.getpid(), signal.SIGKILL)
    return test_executors.shared(name)
executor = test_executors.pool(provider)
for name in ("a", "b"):
    executor.submit(Job(name, {shared!r}, test_executors.asleep(place / name)))
executor.next()
"""


def begin(folder: Path, shared: str) -> subprocess.Popen[str]:
    """A script with two jobs at work; its temporary files lie in `folder/tmp`."""
    # without a guard for the main module: no worker may run it again
    paths = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "benchmark")]
    script, temporary = folder / "script.py", folder / "tmp"
    script.write_text(SCRIPT.format(paths=paths, place=str(folder), shared=shared))
    temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary)}
    command = [sys.executable, str(script)]
    return subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True, env=environment,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # whoever started the tests may ignore it
    )  # fmt: skip


def nothing_is_left(folder: Path) -> None:
    end = time.monotonic() + 60
    while left := [
        path for path in (folder / "tmp").iterdir() if not path.name.startswith("torchinductor_")
    ]:  # a cache
        assert time.monotonic() < end, f"left on the disk: {left}"
        time.sleep(0.01)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks into /proc")
@pytest.mark.heavy
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_nothing_is_left_of_a_run_that_is_killed_or_stopped(tmp_path: Path, how: int) -> None:
    run = begin(tmp_path, "a")
    for name in ("a", "b"):
        wait_for(tmp_path / name)
        while not (tmp_path / name).read_text():
            time.sleep(0.01)
    if how == signal.SIGINT:
        os.killpg(run.pid, how)  # as a terminal does
    else:
        os.kill(run.pid, how)
    errors = run.communicate(timeout=20)[1]
    for name in ("a", "b"):
        gone(int((tmp_path / name).read_text()))
    nothing_is_left(tmp_path)
    assert errors.count("KeyboardInterrupt") == (how == signal.SIGINT), errors


@pytest.mark.heavy
def test_nothing_is_left_of_a_run_that_is_killed_while_it_writes_its_first_value(tmp_path: Path) -> None:
    run = begin(tmp_path, "deadly")
    run.communicate(timeout=60)
    assert run.returncode == -signal.SIGKILL
    nothing_is_left(tmp_path)


# --- shared values


def test_a_shared_value_is_read_once_by_a_worker(tmp_path: Path) -> None:
    made: list[str] = []

    def provider(name: str) -> Any:
        made.append(name)
        return loads(tmp_path / "log")(name)

    executor = pool(provider)
    try:
        jobs = [Job(str(number), "ab"[number % 2], process_of(tmp_path / "jobs")) for number in range(12)]
        workers = set(drain(executor, jobs).values())
    finally:
        executor.close()
    assert sorted(made) == ["a", "b"]
    lines = (tmp_path / "log").read_text().splitlines()
    assert len(lines) == len(set(lines)) <= 4
    assert {int(line.split()[0]) for line in lines} == workers


def test_two_values_are_kept() -> None:
    recent, loaded = Recent(), list[str]()
    for name in "aababcab":
        assert recent.take(name, lambda name=name: loaded.append(name) or name) == name  # type: ignore[misc]
    assert loaded == ["a", "b", "c", "a", "b"]


def test_files_of_values_that_nobody_waits_for_are_removed(one: Processes) -> None:
    for name in "abcde":
        drain(one, [Job(name, name * 3, partial(product, factor=1))])
    assert len(list(Path(one._shared.folder).iterdir())) <= 2


@pytest.mark.skipif(not Path("/proc/self/maps").is_file(), reason="looks into /proc")
def test_tensors_are_mapped_into_memory_and_writing_to_them_changes_no_file(tmp_path: Path) -> None:
    def provider(name: str) -> Any:
        return torch.zeros(1000)

    def work(value: torch.Tensor) -> tuple[bool, float]:
        value += 1
        maps = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
        places = [tuple(int(end, 16) for end in line[0].split("-")) for line in maps if "bottega-" in line[-1]]
        return any(start <= value.data_ptr() < end for start, end in places), float(value.sum())

    for _ in range(2):
        executor = pool(provider)
        try:
            executor.submit(Job("a", "a", work))
            executor.submit(Job("b", "a", work))
            assert {executor.next()[1], executor.next()[1]} == {(True, 1000.0)}
        finally:
            executor.close()


def test_tensors_that_share_memory_share_it_after_the_journey(tmp_path: Path) -> None:
    path = str(tmp_path / "value.pt")
    save_shared(shared("x"), path)
    value = load_shared(path, "cpu", "cpu")
    assert value["add"](1) == 2
    value["row"].fill_(7)
    assert value["weights"][1].tolist() == [7.0] * 4
    assert value["weights"][0].tolist() == [1.0, 2.0, 3.0, 4.0]


def test_a_value_goes_to_the_device_of_the_worker(tmp_path: Path) -> None:
    path = str(tmp_path / "value.pt")
    save_shared({"tensor": torch.ones(3), "device": torch.device("cpu")}, path)
    moved = load_shared(path, "cpu", "meta")
    assert moved["device"] == torch.device("meta") and moved["tensor"].device.type == "meta"
    stays = load_shared(path, "cuda", "cuda:1")
    assert stays["device"] == torch.device("cpu") and stays["tensor"].device.type == "cpu"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_said() -> None:
    with pytest.raises(UserError, match=r"(?s)cannot write what the workers share.*TMPDIR"):
        save_shared(torch.zeros(100_000), "/dev/full")


def test_training_data_and_evaluator_survive_the_journey_and_give_the_identical_figures() -> None:
    executor = pool(bench)
    try:
        found = drain(executor, [Job(name, name, judge) for name in ("1", "2")])
    finally:
        executor.close()
    expected = {name: judge(bench(name)) for name in ("1", "2")}
    assert found == expected
    assert any(name.startswith("DSC") for name in expected["1"]) and expected["1"] != expected["2"]


MODEL = """
from benchmark.models.base import Params, Recommender
class Mine(Recommender):
    class Params(Params):
        answer: int = 42
"""


def test_a_model_from_a_folder_of_the_users_is_found_again(tmp_path: Path, one: Processes) -> None:
    (tmp_path / "mine.py").write_text(MODEL)
    model = find_model("Mine", tmp_path)
    params = model.Params(seed=3)

    def work(value: Any) -> Any:
        assert isinstance(params, model.Params)
        return model.__module__, params

    name, back = drain(one, [Job("m", "a", work)])["m"]
    assert name == model.__module__ and back == params and type(back) is model.Params
