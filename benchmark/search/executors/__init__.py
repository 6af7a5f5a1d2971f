"""Where jobs run: in this process, in worker processes, or on a Ray cluster."""

from __future__ import annotations

from benchmark.config.executor import ExecutorSettings
from benchmark.search.executors.base import Executor, Job, Lost, Provider

__all__ = ["Executor", "Job", "Lost", "Provider", "job_device", "make_executor"]


def job_device(settings: ExecutorSettings, gpu: int) -> str:
    """Type of the device that jobs compute on (`cpu` or `cuda`), for an experiment with this `gpu`."""
    if settings.ray is not None:
        return "cuda" if settings.ray.gpus_per_trial > 0 else "cpu"
    return _devices(settings, gpu)[0].partition(":")[0]


def make_executor(settings: ExecutorSettings, provider: Provider, gpu: int) -> Executor:
    """The executor that the configuration asks for, ready to take jobs.

    Parameters
    ----------
    provider : gives shared values on the device that `workbench.runtime.pick_device(gpu)` names.

    Raises
    ------
    UserError : a GPU that is not there, an optional package that is absent, a cluster that is not there or too small.
    """
    home = _home(gpu)
    if settings.ray is not None:
        from loguru import logger

        from benchmark.search.executors.ray_cluster import RayCluster

        if gpu >= 0 and settings.ray.gpus_per_trial == 0:
            logger.warning("`executor.ray.gpus_per_trial` is 0: trials run on the CPU, although `gpu` is {}", gpu)
        return RayCluster(provider, home.partition(":")[0], settings.ray)
    if settings.processes is not None:
        from benchmark.search.executors.processes import Processes
        from workbench.runtime import usable_cores

        devices = _devices(settings, gpu)
        on_gpu = devices[0] != "cpu"
        workers = settings.processes.workers or (len(devices) if on_gpu else usable_cores())
        return Processes(provider, home.partition(":")[0], devices, workers)
    from benchmark.search.executors.serial import Serial

    return Serial(provider)


def _devices(settings: ExecutorSettings, gpu: int) -> list[str]:
    """Of the workers in turn; the CPU, once, where there is no GPU."""
    if settings.processes is None or settings.processes.gpus is None:
        return [_home(gpu)]
    from workbench.runtime import pick_device

    devices = [str(pick_device(number)) for number in dict.fromkeys(settings.processes.gpus)]
    return ["cpu"] if "cpu" in devices else devices


def _home(gpu: int) -> str:
    """The device of the provider's values; the experiment has said already if it is not the one asked for."""
    import torch

    return f"cuda:{gpu}" if gpu >= 0 and torch.cuda.is_available() else "cpu"
