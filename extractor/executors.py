"""Shards by themselves: one process for each GPU, processes of this machine, or tasks of a Ray cluster.

Each shard is the ordinary extraction with `--shard i/n`; whoever brings the last chunk puts the tables together.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import yaml
from loguru import logger

from extractor.chunks import Shard
from extractor.config import ExtractSettings
from extractor.execution import Processes, Ray
from workbench.errors import UserError

_LAUNCHER = Path(__file__).resolve().with_name("run.py")
_LAST_LINES = 12


@dataclass(frozen=True)
class Request:
    """What was asked for: enough to ask for a share of it in another process."""

    config: str
    overrides: tuple[tuple[str, Any], ...]
    weights_root: str | None


def run_shards(settings: ExtractSettings, request: Request) -> bool:
    """Let others compute, where the configuration says so; False where this process is to do it itself.

    Raises
    ------
    UserError : a shard failed, with its last words; or the executor cannot be had.
    """
    gpus = _gpus(settings.gpu_list)
    executor = settings.executor
    if executor is not None and executor.ray is not None:
        _run_ray(executor.ray, request, on_gpu=gpus[0] >= 0)
        return True
    processes = Processes() if executor is None or executor.processes is None else executor.processes
    count = processes.shards or len(gpus)
    if count == 1:
        return False
    _run_processes([gpus[number % len(gpus)] for number in range(count)], request)
    return True


def run_shard(request: Request, shard: Shard, folder: str) -> None:
    """One shard in this process, from the working directory of whoever asked for it (a Ray task)."""
    from extractor.extraction import run_extraction

    before = Path.cwd()
    os.chdir(folder)
    try:
        run_extraction(request.config, request.overrides, request.weights_root, shard)
    finally:
        os.chdir(before)


def _gpus(listed: Sequence[int]) -> Sequence[int]:
    """The GPUs to use: those of `gpu_list`, or the CPU where several are listed and the machine has none."""
    if len(listed) == 1:
        return listed
    import torch

    return listed if torch.cuda.is_available() else listed[:1]


def _run_processes(gpus: Sequence[int], request: Request) -> None:
    logger.info("{} shards, each in a process of its own; GPUs: {}", len(gpus), ", ".join(map(str, gpus)))
    running: list[subprocess.Popen[str]] = []
    readers = []
    last_words: dict[int, list[str]] = {}
    try:
        for number, gpu in enumerate(gpus, start=1):
            process = subprocess.Popen(
                _command(request, Shard(number, len(gpus)), gpu),
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
            )  # fmt: skip
            running.append(process)
            lines = last_words[number] = []
            reader = threading.Thread(target=_relay, args=(process.stderr, f"{number}/{len(gpus)}", lines))
            reader.start()
            readers.append(reader)
        codes = [process.wait() for process in running]
    finally:
        for process in running:
            with suppress(OSError):
                process.terminate()
        for reader in readers:
            reader.join()
    for number, code in enumerate(codes, start=1):
        if code != 0:
            raise UserError(
                f"shard {number}/{len(gpus)} failed (status {code}):\n" + "\n".join(last_words[number]),
                mend="what is finished is kept; mend the cause and run the same command again",
            )


def _command(request: Request, shard: Shard, gpu: int) -> list[str]:
    words = [sys.executable, str(_LAUNCHER), f"--config={request.config}", f"--shard={shard}"]
    if request.weights_root is not None:
        words.append(f"--weights-root={request.weights_root}")
    words += [f"--{key}={value if isinstance(value, str) else _one_line(value)}" for key, value in request.overrides]
    return [*words, f"--gpu_list={gpu}"]


def _one_line(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=float("inf")).removesuffix("\n").removesuffix("\n...")


def _relay(stream: IO[str] | None, name: str, lines: list[str]) -> None:
    """Show what a shard says, and remember its last lines."""
    for line in stream or ():
        lines.append(line.rstrip("\n"))
        del lines[:-_LAST_LINES]
        print(f"  shard {name} | {line}", end="", file=sys.stderr, flush=True)


def _run_ray(settings: Ray, request: Request, on_gpu: bool) -> None:
    try:
        import ray
    except ImportError as error:
        raise UserError("`executor: ray` needs the package ray", mend="pip install 'bottega[ray]'") from error
    ours = not ray.is_initialized()
    try:
        ray.init(address=settings.address, ignore_reinit_error=True, log_to_driver=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UserError(
            f"no Ray cluster at {settings.address!r}: {str(error).splitlines()[0]}",
            mend="start one (`ray start --head`), or leave `address` out for a Ray on this machine",
        ) from error
    try:
        resource = "GPU" if on_gpu else "CPU"
        count = settings.shards or max(int(ray.cluster_resources().get(resource, 1)), 1)
        logger.info("{} shards as Ray tasks", count)
        if on_gpu:  # Ray shows a task its own GPU alone, as number 0
            request = Request(request.config, (*request.overrides, ("gpu_list", "0")), request.weights_root)
        task = ray.remote(num_cpus=1, num_gpus=1 if on_gpu else 0, max_retries=1)(run_shard)
        ray.get([task.remote(request, Shard(number, count), str(Path.cwd())) for number in range(1, count + 1)])
    except ray.exceptions.RayTaskError as error:
        cause = error.cause if isinstance(getattr(error, "cause", None), UserError) else None
        if cause is None:
            raise
        raise cause from None
    finally:
        if ours:
            ray.shutdown()
