"""Energy counters of the machine: of an NVIDIA GPU through NVML, of the processor packages through Linux's powercap.

Both count what everything that runs there draws, not this process alone.
"""

from __future__ import annotations

import re
import threading
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch

POWERCAP = Path("/sys/class/powercap")
_POLL = 30.0  # seconds between two readings; the smallest counters (65 kJ) need a minute at 1 kW to come round


class Counter(Protocol):
    """Counts up; `name` says whose energy it counts."""

    name: str

    def read(self) -> float:
        """Joules since some fixed moment; any exception means that the hardware does not tell."""


class GpuCounter:
    """NVML's counter of one GPU: millijoules since its driver was loaded, 64 bits wide; GPUs from Volta on have it."""

    def __init__(self, nvml: Any, handle: Any, name: str) -> None:
        self._nvml, self._handle, self.name = nvml, handle, name

    def read(self) -> float:
        return float(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)) / 1e3


class PackageCounter:
    """RAPL's counter of one processor package: microjoules, back to 0 at `max_energy_range_uj`.

    Must be read before it comes round twice, which `EnergyMeter` sees to.
    """

    def __init__(self, zone: Path) -> None:
        self.name = (zone / "name").read_text().strip()
        self._file = zone / "energy_uj"
        self._range = int((zone / "max_energy_range_uj").read_text())
        self._last = int(self._file.read_text())
        self._sum = 0
        self._lock = threading.Lock()  # the thread that polls reads, too

    def read(self) -> float:
        with self._lock:
            now = int(self._file.read_text())
            self._sum += now - self._last if now >= self._last else now - self._last + self._range
            self._last = now
            return self._sum / 1e6


class EnergyMeter:
    """Joules from `start` to `stop`, over all counters that this process may read: of `device`, where that is a GPU,
    and of the processor packages. None where there is no counter, or one stopped answering."""

    def __init__(self, device: torch.device | None = None) -> None:
        self._counters = find_counters(device)
        self._begin: list[float] | None = None
        self._end: float | None = None
        self._stop = threading.Event()

    def start(self) -> None:
        """Begin; a thread looks after the counters that come round."""
        self._begin, self._end = self._read(), None
        self._stop.clear()
        if self._begin is not None and any(isinstance(counter, PackageCounter) for counter in self._counters):
            threading.Thread(target=self._poll, args=(self._stop,), name="energy", daemon=True).start()

    def stop(self) -> None:
        """End; `joules` stays what it is now."""
        self._end = self.joules()
        self._begin = None
        self._stop.set()
        self._stop = threading.Event()

    def joules(self) -> float | None:
        """Since the start, or between start and stop."""
        if self._begin is None:
            return self._end
        now = self._read()
        return None if now is None else sum(now) - sum(self._begin)

    def _poll(self, stop: threading.Event) -> None:
        while not stop.wait(_POLL):
            self._read()

    def _read(self) -> list[float] | None:
        if not self._counters:
            return None
        try:
            return [counter.read() for counter in self._counters]
        except Exception:  # NVML's errors are of an optional package; a counter that fails tells nothing
            return None


def find_counters(device: torch.device | None = None) -> list[Counter]:
    """The counters that can be read, each with its `name`: of the GPU `device`, and of the processor packages."""
    gpu = _gpu_counter(device) if device is not None and device.type == "cuda" else None
    return [*([gpu] if gpu else []), *_package_counters()]


def _gpu_counter(device: torch.device) -> GpuCounter | None:
    nvml = _nvml()
    if nvml is None:
        return None
    import torch

    try:
        # by its identity: NVML counts all GPUs of the machine, torch those of CUDA_VISIBLE_DEVICES
        handle = nvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
        counter = GpuCounter(nvml, handle, f"GPU {device.index or 0}")
        counter.read()
    except Exception:  # a GPU without this counter, a slice of one, or not NVIDIA's
        return None
    return counter


@lru_cache
def _nvml() -> Any:
    """The started library; None where it or its driver is absent."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # no package, no driver, or another's library
        return None
    return pynvml


def _package_counters() -> list[PackageCounter]:
    """One a package that this process may read (mostly only the system's administrator may); its cores and
    integrated graphics, which the package includes, are zones of their own and left out."""
    try:
        zones = sorted(zone for zone in POWERCAP.iterdir() if re.fullmatch(r"intel-rapl:\d+", zone.name))
        counters = [PackageCounter(zone) for zone in zones]
    except (OSError, ValueError):
        return []
    return [counter for counter in counters if counter.name.startswith("package")]
