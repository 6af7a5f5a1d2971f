"""`bottega doctor`: every ill is seen, named with its remedy, and only a ✗ is a failure."""

from __future__ import annotations

import sys
import time
from collections import namedtuple
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from support import ROOT
from typer.testing import CliRunner

from bottega.checks import machine, packages, surroundings
from bottega.checks.finding import Finding
from bottega.cli import app
from bottega.doctor import examine

VERSIONS = {"torch": "2.6.0+cu124", "numpy": "1.9.5", "pre": "2.6.0a1", "long": "1.10"}


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name not in VERSIONS:
            raise PackageNotFoundError(name)
        return VERSIONS[name]

    monkeypatch.setattr(packages, "version", version)


@pytest.mark.parametrize(
    ("bound", "fault"),
    [
        ("torch>=2.6", ""),
        ("torch>=2.6.0", ""),
        ("torch>=2.10", "torch 2.6.0+cu124 is too old: 2.10 or newer is needed"),
        ("numpy>=1.26", "numpy 1.9.5 is too old: 1.26 or newer is needed"),
        ("numpy>=1.9.5", ""),
        ("numpy", ""),
        ("long>=1.9", ""),
        ("pre>=2.6", ""),
        ("absent>=1", "absent is not installed"),
    ],
)
def test_versions_are_held_against_lower_bounds(installed: None, bound: str, fault: str) -> None:
    assert packages.fault_of(bound) == fault


def test_each_package_that_is_missing_or_too_old_is_a_cross(installed: None) -> None:
    found = packages.required({"": ["torch>=2.6", "numpy>=1.26", "absent>=1"]})
    assert [each.mark for each in found] == ["✗", "✗"]
    assert found[0].mend == "pip install --upgrade 'numpy>=1.26'"
    assert packages.required({"": ["torch>=2.6"]})[0].mark == "✓"
    assert packages.required({"x": []})[0].mark == "!"


def test_extras_are_never_a_cross(installed: None) -> None:
    bounds = {
        "": ["none"],
        "a": ["torch>=2"],
        "b": ["absent>=1"],
        "c": ["numpy>=9"],
        "test": ["nothing"],
        "d": ["gone"],
    }
    found = packages.extras(bounds)
    assert [each.mark for each in found] == ["✓", "!", "!"]
    assert found[0].text == "installed: a"
    assert found[1].mend == "pip install --upgrade 'bottega[c]'"
    assert "'bottega[b,d]'" in found[2].mend


def test_the_bounds_are_those_of_setup_cfg_and_else_the_installed_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounds = packages.read_bounds()
    assert "torch>=2.6" in bounds[""] and "timm>=1.0.9" in bounds["timm"]
    lines = ["torch>=9", 'ray>=2.9; extra == "ray"', "timm>=1 ; extra == 'timm'"]
    monkeypatch.setattr(packages, "requires", lambda name: lines)
    assert packages.read_bounds(tmp_path) == {"": ["torch>=9"], "ray": ["ray>=2.9"], "timm": ["timm>=1"]}
    (tmp_path / "setup.cfg").write_text("[metadata]\nname = someone_else\n")
    assert packages.read_bounds(tmp_path)["ray"] == ["ray>=2.9"]


@pytest.mark.parametrize(("here", "mark"), [((3, 9, 1), "✗"), ((3, 10, 0), "✓"), ((3, 13, 2), "✓"), ((3, 14, 0), "!")])
def test_the_version_of_python(monkeypatch: pytest.MonkeyPatch, here: tuple[int, ...], mark: str) -> None:
    monkeypatch.setattr(packages, "sys", SimpleNamespace(version_info=here, executable="python"))
    assert packages.python()[0].mark == mark


def test_builds_of_torch_that_do_not_belong_together_are_a_cross(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    (found,) = packages.torch()
    assert found.mark == "✗" and "ModuleNotFoundError" in found.text


Properties = namedtuple("Properties", "name total_memory")


def test_without_a_gpu_and_with_one_that_torch_cannot_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(machine, "nvidia_smi", lambda: [])
    assert (machine.gpu()[0].mark, machine.gpu()[0].text) == ("!", "none")
    monkeypatch.setattr(machine, "nvidia_smi", lambda: ["Quick 9, driver 3.1"])
    monkeypatch.setattr(torch.version, "cuda", None)
    assert "built without CUDA" in machine.gpu()[0].text
    monkeypatch.setattr(torch.version, "cuda", "99.1")
    assert "too new for the driver" in machine.gpu()[0].text and machine.gpu()[0].mark == "!"


def test_a_gpu_that_fails_at_work_is_a_cross_and_the_other_one_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    ones = torch.ones

    def on_device(*shape: int, device: str = "cpu") -> torch.Tensor:
        if device == "cuda:1":
            raise RuntimeError("no kernel image is available for execution on the device\nmore")
        return ones(*shape)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: Properties(f"Quick {number}", 2**33))
    monkeypatch.setattr(machine, "nvidia_smi", lambda: ["Quick 0, driver 3.1"])
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, device: tensor)
    monkeypatch.setattr(torch, "ones", on_device)
    first, second = machine.gpu()
    assert (first.mark, first.text) == ("✓", "0: Quick 0, 8 GB, driver 3.1")
    assert second.mark == "✗" and second.text.endswith("no kernel image is available for execution on the device")


def test_the_driver_is_asked_and_its_silence_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.nvidia_smi() == []
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA X, Y, 550.1'\necho broken\n")
    tool.chmod(0o755)
    assert machine.nvidia_smi() == ["NVIDIA X, Y, driver 550.1"]
    tool.write_text("#!/bin/sh\nexit 9\n")
    assert machine.nvidia_smi() == []


def test_more_threads_than_cores_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(machine, "usable_cores", lambda: 2)
    assert machine.cores()[0].mark == "✓"
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    assert machine.cores()[0].mark == "!" and machine.cores()[0].mend.endswith("OMP_NUM_THREADS=2")


def test_free_memory_is_the_lesser_of_machine_and_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meminfo = tmp_path / "meminfo"
    assert machine.free_memory(tmp_path, meminfo) is None
    meminfo.write_text("MemTotal: 1 kB\nMemAvailable: 8388608 kB\n")
    assert machine.free_memory(tmp_path, meminfo) == 8
    (tmp_path / "memory.max").write_text(str(3 * 2**30))
    (tmp_path / "memory.current").write_text(str(2**30))
    assert machine.free_memory(tmp_path, meminfo) == 2
    (tmp_path / "memory.max").write_text("max")
    assert machine.free_memory(tmp_path, meminfo) == 8
    for free, mark in ((None, "✓"), (1.0, "!"), (64.0, "✓")):
        monkeypatch.setattr(machine, "free_memory", lambda free=free: free)
        assert machine.memory()[0].mark == mark


def test_the_hub_that_does_not_answer_takes_no_longer_than_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(surroundings, "_SECONDS", 0.1)
    monkeypatch.setattr(surroundings, "_ask", lambda endpoint: time.sleep(60))
    started = time.perf_counter()
    (found,) = surroundings.hub()
    assert time.perf_counter() - started < 5
    assert found.mark == "!" and "--weights-root" in found.mend


@pytest.mark.parametrize(("status", "mark"), [(200, "✓"), (404, "✓"), (403, "!"), (503, "!")])
def test_what_the_hub_answers(monkeypatch: pytest.MonkeyPatch, status: int, mark: str) -> None:
    import requests

    asked: list[Any] = []

    def head(endpoint: str, **options: Any) -> SimpleNamespace:
        asked.append((endpoint, options["timeout"]))
        return SimpleNamespace(status_code=status)

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example")
    monkeypatch.setattr(requests, "head", head)
    assert surroundings.hub()[-1].mark == mark
    assert asked == [("https://mirror.example", 3.0)]


def test_offline_by_choice_and_an_address_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "no address")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    assert surroundings.hub()[-1].mark == "!"
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "HF_HUB_OFFLINE" in surroundings.hub()[-1].text
    monkeypatch.setenv("BOTTEGA_WEIGHTS_ROOT", str(tmp_path))
    assert [each.mark for each in surroundings.hub()] == ["✓", "!"]
    monkeypatch.setenv("BOTTEGA_WEIGHTS_ROOT", str(tmp_path / "none"))
    assert [each.mark for each in surroundings.hub()] == ["✗", "!"]


@pytest.mark.parametrize(("free", "mark"), [(0.1, "✗"), (2, "!"), (50, "✓")])
def test_room_on_the_disk(monkeypatch: pytest.MonkeyPatch, free: float, mark: str) -> None:
    monkeypatch.setattr(surroundings.shutil, "disk_usage", lambda folder: SimpleNamespace(free=free * 2**30))
    assert surroundings.disk()[0].mark == mark


def test_the_folder_is_known_as_a_project_or_not(tmp_path: Path) -> None:
    (nothing,) = surroundings.project(tmp_path)
    assert nothing.mark == "!" and f"cd {ROOT}" in nothing.mend
    (tmp_path / "config_files").mkdir()
    assert "bottega demo" in surroundings.project(tmp_path)[0].mend
    (tmp_path / "data").mkdir()
    assert surroundings.project(tmp_path)[0].mark == "✓"


def test_a_folder_that_cannot_be_written_is_a_cross_and_a_trial_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert surroundings.writing(tmp_path)[0].mark == "✓"
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "results").touch()  # a file where the folder should be
    (found,) = surroundings.writing(tmp_path)
    assert found.mark == "✗" and str(tmp_path / "results") in found.text


def test_a_check_that_breaks_down_is_a_line_not_a_traceback() -> None:
    def hopeless() -> list[Finding]:
        raise ZeroDivisionError("why\nnot")

    (found,) = examine(hopeless)
    assert found.mark == "!" and "ZeroDivisionError: why" in found.text and "not" not in found.text.split("why")[1]


def test_the_verb_prints_every_check_and_fails_on_a_cross_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "config_files").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(surroundings, "_ask", lambda endpoint: "ConnectionError")
    monkeypatch.setattr(surroundings, "_FULL", 0.0)
    result = CliRunner().invoke(app, ["doctor"], catch_exceptions=False)
    subjects = [line.split()[1] for line in result.output.splitlines() if line[:1] in "✓!✗"]
    order = ["Python", "packages", "extras", "torch", "GPU", "cores", "memory", "hub", "disk", "folder", "writing"]
    assert list(dict.fromkeys(subjects)) == order
    assert result.exit_code == (1 if "✗" in result.output else 0)
    monkeypatch.setattr(surroundings, "disk", lambda: [Finding("✗", "disk", "full", "free some")])
    result = CliRunner().invoke(app, ["doctor"], catch_exceptions=False)
    assert result.exit_code == 1 and "-> free some" in result.output
