"""The meter against loads that are known, and the energy counters against files and a library that are made up."""

from __future__ import annotations

import json
import mmap
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from workbench import cost, energy
from workbench.cost import Cost, Meter
from workbench.energy import EnergyMeter, PackageCounter, find_counters

KEYS = {"seconds", "cpu_seconds", "peak_memory_mb", "gpu_memory_mb", "energy_joules", "samples_per_second"}


def allocate(mb: int) -> None:
    """Touch so many MB of new pages and give them back; those that the allocator still holds would not be new."""
    with mmap.mmap(-1, mb * 2**20) as pages:
        np.frombuffer(pages, dtype=np.uint8)[:] = 1


def held() -> float:
    """The present resident size in MB."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def burn(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_sleeping_takes_time_and_no_processor() -> None:
    with Meter() as meter:
        time.sleep(0.2)
    taken = meter.cost()
    assert 0.2 <= taken.seconds < 2
    assert taken.cpu_seconds < 0.1


def test_computing_takes_the_processor_in_other_threads_too() -> None:
    with Meter() as meter:
        thread = threading.Thread(target=burn, args=(0.15,))
        thread.start()
        thread.join()
    taken = meter.cost(samples=30)
    assert 0.14 < taken.cpu_seconds < 0.5
    assert taken.samples_per_second == pytest.approx(30 / taken.seconds)
    assert taken.gpu_memory_mb is None


needs_marks = pytest.mark.skipif(not cost._CLEAR.exists(), reason="only Linux sets the mark of the memory back")


@needs_marks
def test_the_peak_is_that_of_the_interval() -> None:
    allocate(400)  # gone before the interval begins
    before = held()
    with Meter() as meter:
        allocate(200)
    assert meter.cost().peak_memory_mb - before == pytest.approx(200, abs=30)
    with Meter() as later:
        pass
    assert later.cost().peak_memory_mb - before < 50


@needs_marks
def test_nested_and_overlapping_meters_each_have_their_own_peak() -> None:
    before = held()
    with Meter() as outer:
        allocate(200)
        with Meter() as inner:
            allocate(60)
    assert outer.cost().peak_memory_mb - before == pytest.approx(200, abs=30)
    assert inner.cost().peak_memory_mb - before == pytest.approx(60, abs=30)
    first, second = Meter(), Meter()
    first.__enter__()
    allocate(60)
    second.__enter__()
    first.__exit__(None, None, None)
    allocate(200)
    second.__exit__(None, None, None)
    assert first.cost().peak_memory_mb - before == pytest.approx(60, abs=30)
    assert second.cost().peak_memory_mb - before == pytest.approx(200, abs=30)


def test_where_the_mark_cannot_be_set_back_the_peak_is_that_of_the_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(cost, "_STATUS", tmp_path / "status")
    monkeypatch.setattr(cost, "_CLEAR", tmp_path / "none" / "clear_refs")
    with Meter() as meter:
        pass
    assert meter.cost().peak_memory_mb == pytest.approx(cost.peak_memory_mb(), rel=0.01)


def test_a_failing_body_is_measured_and_its_error_goes_on() -> None:
    meter = Meter()
    with pytest.raises(KeyError), meter:
        burn(0.05)
        raise KeyError
    assert meter.cost().cpu_seconds >= 0.05


def test_while_it_runs_a_meter_tells_what_was_taken_so_far() -> None:
    with Meter() as meter:
        burn(0.02)
        early = meter.cost()
        burn(0.05)
    assert 0.02 <= early.cpu_seconds < meter.cost().cpu_seconds
    with pytest.raises(RuntimeError, match="nothing was measured"):
        Meter().cost()


def test_the_record_has_the_keys_of_the_ledger_and_is_json() -> None:
    record = Cost(1 / 3, 2.0, 123456.789, None, None, 1e-7 / 3).record()
    assert set(record) == KEYS
    assert record["seconds"] == 0.333333 and record["peak_memory_mb"] == 123457.0 and record["energy_joules"] is None
    assert record["samples_per_second"] == pytest.approx(1e-7 / 3, rel=1e-5)
    assert json.loads(json.dumps(record, allow_nan=False)) == record


# --- energy ---------------------------------------------------------------------------------------------------------


class Package:
    """A made-up powercap zone."""

    def __init__(self, root: Path, zone: str, name: str, at: int = 0, limit: int = 1_000_000) -> None:
        self.folder = root / zone
        self.folder.mkdir(parents=True)
        (self.folder / "name").write_text(f"{name}\n")
        (self.folder / "max_energy_range_uj").write_text(f"{limit}\n")
        self.set(at)

    def set(self, microjoules: int) -> None:
        (self.folder / "energy_uj").write_text(f"{microjoules}\n")


@pytest.fixture
def powercap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(energy, "POWERCAP", tmp_path / "powercap")
    return tmp_path / "powercap"


def test_a_machine_that_tells_nothing_gives_none(powercap: Path) -> None:
    assert find_counters() == []
    with Meter() as meter:
        pass
    assert meter.cost().energy_joules is None


def test_the_packages_are_summed_and_their_parts_left_out(powercap: Path) -> None:
    first = Package(powercap, "intel-rapl:0", "package-0", at=100_000)
    second = Package(powercap, "intel-rapl:1", "package-1")
    parts = [Package(powercap, "intel-rapl:0:0", "core"), Package(powercap, "intel-rapl:2", "psys")]
    parts.append(Package(powercap, "intel-rapl-mmio:0", "package-0"))  # the same package by another way
    with Meter() as meter, Meter(energy=False) as without:
        first.set(600_000)
        second.set(250_000)
        for part in parts:
            part.set(900_000)
    first.set(999_999)
    assert meter.cost().energy_joules == pytest.approx(0.75)
    assert without.cost().energy_joules is None


def test_a_counter_that_comes_round_goes_on_counting(powercap: Path) -> None:
    package = Package(powercap, "intel-rapl:0", "package-0", at=900_000)
    counter = PackageCounter(package.folder)
    steps = [900_000, 950_000, 100_000, 100_000, 999_999, 0]
    seen = []
    for step in steps:
        package.set(step)
        seen.append(counter.read())
    assert seen == pytest.approx([0, 0.05, 0.2, 0.2, 1.099999, 1.1])


def test_counters_are_read_meanwhile_so_that_none_comes_round_unseen(
    powercap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(energy, "_POLL", 0.01)
    package = Package(powercap, "intel-rapl:0", "package-0")
    meter = EnergyMeter()
    meter.start()
    for step in (500_000, 0, 500_000, 0):  # two rounds
        package.set(step)
        time.sleep(0.1)
    meter.stop()
    assert meter.joules() == pytest.approx(2.0)
    for _ in range(200):
        if not any(thread.name == "energy" for thread in threading.enumerate()):
            break
        time.sleep(0.01)
    assert not any(thread.name == "energy" for thread in threading.enumerate())


def test_counters_that_may_not_be_read_or_stop_answering_give_none(powercap: Path) -> None:
    package = Package(powercap, "intel-rapl:0", "package-0")
    (package.folder / "energy_uj").write_text("no number")
    assert find_counters() == []
    package.set(0)
    with Meter() as meter:
        (package.folder / "energy_uj").unlink()
    assert meter.cost().energy_joules is None


class FakeNvml(ModuleType):
    """As much of NVML as is asked for; GPU-1234 has drawn `joules`."""

    def __init__(self, joules: float, started: bool = True) -> None:
        super().__init__("pynvml")
        self.joules, self.started = joules, started

    def nvmlInit(self) -> None:
        if not self.started:
            raise RuntimeError("Driver Not Loaded")

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        if uuid != "GPU-1234":
            raise ValueError(f"no {uuid}")
        return uuid

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> int:
        assert handle == "GPU-1234"
        return int(self.joules * 1e3)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, powercap: Path) -> Any:
    """A device that says it is the GPU 1234, and calls of torch that make nothing of it."""
    import torch

    calls: dict[str, int] = {"held": 0, "resets": 0}
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid=device.uuid))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: calls["held"])
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: calls.update(held=0))
    energy._nvml.cache_clear()
    yield SimpleNamespace(type="cuda", index=0, uuid="1234", calls=calls)
    energy._nvml.cache_clear()


def test_a_gpu_is_found_by_its_identity_and_counted(gpu: Any, monkeypatch: pytest.MonkeyPatch, powercap: Path) -> None:
    nvml = FakeNvml(5.0)
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    package = Package(powercap, "intel-rapl:0", "package-0")
    assert [counter.name for counter in find_counters(gpu)] == ["GPU 0", "package-0"]
    with Meter(gpu) as meter:
        nvml.joules = 12.5
        package.set(250_000)
        gpu.calls["held"] = 3 * 2**20
    taken = meter.cost()
    assert taken.energy_joules == pytest.approx(7.75)
    assert taken.gpu_memory_mb == 3
    gpu.uuid = "5678"
    assert [counter.name for counter in find_counters(gpu)] == ["package-0"]


@pytest.mark.parametrize("found", [None, FakeNvml(0.0, started=False)])
def test_without_the_library_or_its_driver_a_gpu_tells_nothing(
    gpu: Any, monkeypatch: pytest.MonkeyPatch, found: Any
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", found)
    assert find_counters(gpu) == []


def test_a_gpu_that_stops_answering_gives_none(gpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = FakeNvml(5.0)
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    with Meter(gpu) as meter:
        monkeypatch.setattr(nvml, "nvmlDeviceGetTotalEnergyConsumption", None)
    assert meter.cost().energy_joules is None


def test_on_a_real_gpu() -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no GPU here")
    device = torch.device("cuda", 0)
    with Meter(device) as meter:
        block = torch.ones(64 * 2**20, dtype=torch.uint8, device=device)
        for _ in range(200):
            block = block + 1
    taken = meter.cost()
    assert taken.gpu_memory_mb is not None and 128 <= taken.gpu_memory_mb < 1024
    if any(counter.name == "GPU 0" for counter in find_counters(device)):
        assert taken.energy_joules is not None and taken.energy_joules >= 0


def test_the_meter_loads_no_torch() -> None:
    code = "import sys; from workbench.cost import Meter\nwith Meter(): pass\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
