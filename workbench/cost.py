"""What a piece of work took: time, processor time, memory, energy."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from workbench.energy import EnergyMeter
from workbench.runtime import peak_memory_mb

if TYPE_CHECKING:
    import torch

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_DIGITS = 6


@dataclass(frozen=True)
class Cost:
    """What an interval took; MB are 2^20 bytes.

    Attributes
    ----------
    seconds : by the clock.
    cpu_seconds : of all threads of this process, user and system; not of other processes, its children neither.
    peak_memory_mb : largest resident size of this process, all that it held before included. Where the system cannot
        set its mark back (it is not Linux), the largest since the process began.
    gpu_memory_mb : most memory that torch held on the GPU at once; None on the CPU.
    energy_joules : what the counters of the GPU and of the processor packages rose by; None where none can be read.
        They count everything that runs there, not this process alone.
    samples_per_second : None where there are no samples to count.
    """

    seconds: float
    cpu_seconds: float
    peak_memory_mb: float
    gpu_memory_mb: float | None
    energy_joules: float | None
    samples_per_second: float | None

    def record(self) -> dict[str, float | None]:
        """The same as a dict for a journal, to six significant digits."""
        return {name: None if value is None else float(f"{value:.{_DIGITS}g}") for name, value in asdict(self).items()}


class Meter:
    """Measures the body of a `with`; `cost` gives what it took, or has taken so far.

    Meters may be nested and may overlap in several threads. Each has the peak memory of its own interval; time of the
    processor, memory and energy are of the whole process or machine, so what runs beside the body counts as well.

    Parameters
    ----------
    device : where the work is done; its queue is waited for at both ends.
    energy : whether to read the energy counters; not where other work of ours runs on this machine meanwhile, which
        would be counted with each.
    """

    def __init__(self, device: torch.device | None = None, energy: bool = True) -> None:
        self._device = device if device is not None and device.type == "cuda" else None
        self._energy = EnergyMeter(device) if energy else None
        self._peak = self._gpu_peak = 0.0
        self._begin: tuple[float, float] | None = None
        self._cost: Cost | None = None

    def __enter__(self) -> Meter:
        self._synchronise()
        self._peak = self._gpu_peak = 0.0
        _marks.begin(self)
        if self._energy is not None:
            self._energy.start()
        self._begin = time.perf_counter(), time.process_time()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._synchronise()
        self._cost = self.cost()
        self._begin = None
        _marks.end(self)
        if self._energy is not None:
            self._energy.stop()

    def cost(self, samples: int | None = None) -> Cost:
        """What the body took, or has taken so far; `samples` is how many it worked on."""
        found = self._cost if self._begin is None else self._so_far(*self._begin)
        if found is None:
            raise RuntimeError("nothing was measured: `with Meter() as meter:` comes first")
        rate = None if samples is None else samples / max(found.seconds, 1e-9)
        return Cost(
            found.seconds, found.cpu_seconds, found.peak_memory_mb, found.gpu_memory_mb, found.energy_joules, rate
        )

    def _so_far(self, wall: float, cpu: float) -> Cost:
        seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
        _marks.read()
        return Cost(
            seconds,
            cpu_seconds,
            self._peak,
            None if self._device is None else self._gpu_peak,
            None if self._energy is None else self._energy.joules(),
            None,
        )

    def raise_peaks(self) -> None:
        """Take note of the high-water marks as they stand."""
        self._peak = max(self._peak, _resident_peak_mb())
        if self._device is not None:
            import torch

            self._gpu_peak = max(self._gpu_peak, torch.cuda.max_memory_allocated(self._device) / 2**20)

    def reset_peaks(self) -> None:
        """Set the high-water marks back to what is held now."""
        with contextlib.suppress(OSError):
            _CLEAR.write_text("5")
        if self._device is not None:
            import torch

            torch.cuda.reset_peak_memory_stats(self._device)

    def _synchronise(self) -> None:
        if self._device is not None:
            import torch

            with contextlib.suppress(RuntimeError):  # of work that failed, which the body has raised already
                torch.cuda.synchronize(self._device)


class _Marks:
    """The high-water marks, which a process has once: before one meter sets them back, all others take note of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: list[Meter] = []

    def begin(self, meter: Meter) -> None:
        with self._lock:
            self._note()
            meter.reset_peaks()
            self._running.append(meter)

    def end(self, meter: Meter) -> None:
        with self._lock:
            self._running.remove(meter)

    def read(self) -> None:
        with self._lock:
            self._note()

    def _note(self) -> None:
        for meter in self._running:
            meter.raise_peaks()


_marks = _Marks()


def _resident_peak_mb() -> float:
    """The mark of the resident size; that of the whole life of the process where the system keeps no other."""
    try:
        status = _STATUS.read_text()
    except OSError:
        return peak_memory_mb()
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return peak_memory_mb()
