"""The key `executor`, and what is made of it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from executor_cases import shared

from benchmark.config.executor import ExecutorSettings
from benchmark.experiment.grounds import threads_of_a_trial
from benchmark.search.executors import job_device, make_executor
from benchmark.search.executors.processes import Processes
from benchmark.search.executors.serial import Serial
from workbench.config import Settings, read_yaml, validate
from workbench.errors import UserError
from workbench.runtime import usable_cores


class Holder(Settings):
    executor: ExecutorSettings = ExecutorSettings()


def read(folder: Path, executor: Any) -> ExecutorSettings:
    path = folder / "x.yml"
    path.write_text(yaml.safe_dump({"executor": executor}))
    document = read_yaml(path)
    return validate(Holder, document.data, document).executor


@pytest.mark.parametrize("given", ["serial", {"serial": None}, {}])
def test_serial_is_the_default(tmp_path: Path, given: Any) -> None:
    for settings in (read(tmp_path, given), Holder().executor):
        assert isinstance(make_executor(settings, shared, -1), Serial)


@pytest.mark.parametrize(
    ("given", "workers"), [("processes", None), ({"processes": None}, None), ({"processes": {"workers": 3}}, 3)]
)
def test_processes(tmp_path: Path, given: Any, workers: int | None) -> None:
    executor = make_executor(read(tmp_path, given), shared, -1)
    assert isinstance(executor, Processes) and executor.slots == (workers or usable_cores())
    executor.close()


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no affinity on this system")
def test_workers_and_threads_count_the_cores_that_may_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: list[str]
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {5})
    executor = make_executor(read(tmp_path, "processes"), shared, -1)
    executor.close()
    assert executor.slots == 1
    assert threads_of_a_trial(None, 10**6, 1) == 1 and log == []
    assert threads_of_a_trial(2, 10**6, 3) == 2
    assert "3 trials at once with 2 threads each on 1 cores" in log[0]


@pytest.mark.parametrize("gpus", [0, [0], [0, 1]])
def test_where_there_is_no_gpu_the_cpu_is_taken_and_it_is_said(
    tmp_path: Path, gpus: Any, monkeypatch: pytest.MonkeyPatch, log: list[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    settings = read(tmp_path, {"processes": {"workers": 2, "gpus": gpus}})
    executor = make_executor(settings, shared, 0)
    executor.close()
    assert "no GPU" in log[0] and job_device(settings, 0) == "cpu"


def test_devices(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert job_device(read(tmp_path, "serial"), 1) == "cuda"
    assert job_device(read(tmp_path, "serial"), -1) == "cpu"
    assert job_device(read(tmp_path, "processes"), 0) == "cuda"
    assert job_device(read(tmp_path, {"processes": {"gpus": [0, 1]}}), -1) == "cuda"
    assert job_device(read(tmp_path, "ray"), 0) == "cpu"
    assert job_device(read(tmp_path, {"ray": {"gpus_per_trial": 0.1}}), -1) == "cuda"
    executor = make_executor(read(tmp_path, {"processes": {"gpus": [0, 1]}}), shared, -1)
    assert executor.slots == 2, "one for each GPU"
    executor.close()
    with pytest.raises(UserError, match="gpu 5 was asked for, but there are 2"):
        make_executor(read(tmp_path, {"processes": {"gpus": [0, 5]}}), shared, -1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("threads", r"x\.yml:1: .*there is no executor 'threads'.*(legal here|did you mean)"),
        ("proceses", r"did you mean 'processes'\?"),
        ({"rai": {}}, r"did you mean 'ray'\?"),
        ({"ray": {"adress": "auto"}}, r"(?s)x\.yml:3: unknown key `executor\.ray\.adress`.*did you mean 'address'\?"),
        ({"ray": {"address": "here"}}, r"x\.yml:3: .*should be `auto` or host:port"),
        ({"ray": {"cpus_per_trial": 0}}, r"cpus_per_trial"),
        ({"ray": {"cpus_per_trial": 1.5}}, r"above 1 it should be a whole number"),
        ({"ray": {"gpus_per_trial": 2}}, r"gpus_per_trial"),
        ({"processes": {"workers": 0}}, r"workers"),
        ({"processes": {"gpus": []}}, r"gpus"),
        ({"processes": {"gpus": [-1]}}, r"gpus"),
        ({"processes": {}, "ray": {}}, r"one of them"),
        (["ray"], r"should be `serial`, `processes` or `ray`"),
        (None, r"should be `serial`, `processes` or `ray`"),
        (4, r"should be `serial`, `processes` or `ray`"),
    ],
)
def test_what_is_no_executor(tmp_path: Path, given: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(tmp_path, given)


def test_without_ray_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"needs the package ray\n.*bottega\[ray\]"):
        make_executor(read(tmp_path, "ray"), shared, -1)
