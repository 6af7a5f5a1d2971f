"""Device, seeds, and what the run took."""

from __future__ import annotations

import contextlib
import os
import platform
import random
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from loguru import logger

from workbench.errors import UserError

if TYPE_CHECKING:
    import torch

_CGROUP = Path("/sys/fs/cgroup")


def usable_cores(cgroup: Path = _CGROUP) -> int:
    """Whole cores of this process, at least 1: by its affinity, and by the share that a container gives."""
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
        return max(1, min(count, int(quota) // int(period)))
    except (OSError, ValueError, ZeroDivisionError):  # no container, or `max`: no limit
        return count


def pick_device(gpu: int) -> torch.device:
    """The device for GPU number `gpu` (-1: the CPU); without such a GPU one warning, then the CPU."""
    import torch

    if gpu < 0:
        return torch.device("cpu")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count == 0:
        logger.warning("gpu {} was asked for and there is no GPU here: running on the CPU", gpu)
        return torch.device("cpu")
    if gpu >= count:
        raise UserError(
            f"gpu {gpu} was asked for, but there are {count} (0 to {count - 1})",
            mend="set gpu to one of them, or -1",
        )
    return torch.device("cuda", gpu)


def seed_everything(seed: int) -> None:
    """Seed python, numpy and torch, and ask CUDA for deterministic kernels."""
    import numpy as np
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


def versions(*packages: str) -> dict[str, str]:
    """Versions of Python and of the named packages, for manifests and results."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found


def peak_memory_mb() -> float:
    """Largest resident size of this process so far, in MB (0 where the platform does not tell)."""
    try:
        import resource
    except ImportError:
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024**2 if platform.system() == "Darwin" else peak / 1024


def machine() -> dict[str, str]:
    """What this machine is: processor, cores, memory, system and, where there is one, GPU."""
    found = {"system": f"{platform.system()} {platform.release()}", "processor": _processor()}
    found["cores"] = str(os.cpu_count() or 1)
    with contextlib.suppress(ValueError, OSError, AttributeError):  # not on every system
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        found["memory"] = f"{memory / 2**30:.0f} GiB"
    import torch

    if torch.cuda.is_available():
        found["gpu"] = ", ".join(torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count()))
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
