"""The GPU, the cores and the memory that a run may use."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from bottega.checks.finding import Finding
from bottega.checks.packages import first_line
from workbench.runtime import usable_cores

_BUILDS = "install the build of PyTorch for this GPU and driver: https://pytorch.org/get-started"
_CGROUP = Path("/sys/fs/cgroup")
_LITTLE_MEMORY = 4  # GB


def gpu() -> list[Finding]:
    """Whether torch sees a GPU and computes rightly on it."""
    try:
        import torch
    except Exception:  # told by the check of torch
        return []
    seen = nvidia_smi()
    if not torch.cuda.is_available():
        if not seen:
            mend = "`gpu: -1` runs on the CPU; large encoders are the one thing that wants a GPU"
            return [Finding("!", "GPU", "none", mend)]
        if torch.version.cuda is None:
            return [Finding("!", "GPU", f"{seen[0]}; this PyTorch is built without CUDA and cannot use it", _BUILDS)]
        cause = f"its CUDA {torch.version.cuda} is too new for the driver, or the GPU is hidden"
        text = f"{seen[0]}; PyTorch cannot use it: {cause}"
        return [Finding("!", "GPU", text, f"look at CUDA_VISIBLE_DEVICES, update the driver, or {_BUILDS}")]
    found = []
    for number in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(number)
        driver = f", {seen[0].rpartition(', ')[2]}" if seen else ""
        text = f"{number}: {about.name}, {about.total_memory / 2**30:.0f} GB{driver}"
        try:
            # 64 x 64 ones times themselves: 64 everywhere, exactly
            right = bool(
                (torch.ones(64, 64, device=f"cuda:{number}").matmul(torch.ones(64, 64).to(number)) == 64).all()
            )
            fault = "" if right else "a matrix product is wrong"
        except RuntimeError as error:
            fault = first_line(error)
        mend = f"`gpu: {number}` will fail; {_BUILDS}"
        found.append(Finding("✗", "GPU", f"{text}; {fault}", mend) if fault else Finding("✓", "GPU", text))
    return found


def nvidia_smi() -> list[str]:
    """`name, driver version` of each GPU that the driver knows; empty without one."""
    if shutil.which("nvidia-smi") is None:
        return []
    command = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=4, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [line.rpartition(", ") for line in done.stdout.splitlines() if ", " in line]
    return [f"{name}, driver {driver}" for name, _, driver in rows]


def cores() -> list[Finding]:
    """Cores that this process may use, and threads that torch starts."""
    try:
        import torch

        threads = torch.get_num_threads()
    except Exception:
        threads = None
    usable = usable_cores()
    text = f"{usable} usable of {os.cpu_count()}" + (f"; {threads} threads" if threads else "")
    if threads is not None and threads > usable:
        mend = f"more threads than cores slow each other down: export OMP_NUM_THREADS={usable}"
        return [Finding("!", "cores", text, mend)]
    return [Finding("✓", "cores", text)]


def memory() -> list[Finding]:
    """Memory that is free."""
    free = free_memory()
    if free is None:
        return [Finding("✓", "memory", "this system does not tell")]
    text = f"{free:.1f} GB free"
    if free < _LITTLE_MEMORY:
        return [Finding("!", "memory", text, "set smaller batches and evaluation blocks, or close other programs")]
    return [Finding("✓", "memory", text)]


def free_memory(cgroup: Path = _CGROUP, meminfo: Path = Path("/proc/meminfo")) -> float | None:
    """Free memory in GB, of the machine or of the container, whichever is less; None where nobody tells."""
    free = []
    try:
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
        free.append(int(lines["MemAvailable"].split()[0]) / 2**20)
    except (OSError, KeyError, ValueError, IndexError):
        pass
    try:
        limit, used = ((cgroup / f"memory.{name}").read_text() for name in ("max", "current"))
        free.append((int(limit) - int(used)) / 2**30)
    except (OSError, ValueError):  # no container, or `max`: no limit
        pass
    return max(0.0, min(free)) if free else None
