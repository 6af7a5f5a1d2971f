"""Tasks of a Ray cluster, or of a Ray on this machine."""

from __future__ import annotations

import logging
import math
import os
import socket
import sys
import time
import uuid
from collections import deque
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.config.executor import RaySettings
from benchmark.search.executors.base import Job, Lost, Provider
from benchmark.search.executors.streams import ArrayReader, ArrayWriter
from benchmark.search.executors.travel import (
    KEPT,
    Recent,
    echo,
    listen,
    load_shared,
    pack,
    perform,
    save_shared,
    settle,
)
from workbench.errors import UserError

_PATIENCE = 60.0  # seconds without any node that can take a job, before it is said
_GLANCE = 5.0  # seconds between looks at the nodes


class RayCluster:
    """Works jobs off as Ray tasks; see `Executor`.

    A task whose worker or node was lost is started once more by us, not by Ray, which would repeat a task that runs out
    of memory without end.

    Parameters
    ----------
    home : type of the device that the provider's values are on.

    Raises
    ------
    UserError : Ray is not installed, there is no cluster at the address, or no node of it can ever take a job.
    """

    def __init__(self, provider: Provider, home: str, settings: RaySettings) -> None:
        self._ray = _import_ray()
        self._provider, self._home, self._settings = provider, home, settings
        self._queue: deque[Job] = deque()
        self._tasks: dict[Any, Job] = {}
        self._deaths: set[str] = set()
        self._shared: dict[str, tuple[str, Any]] = {}  # name -> its name among all runs, and where it is
        self._seen: list[dict[str, float]] = []  # what each node has
        self._next_look = 0.0  # when the nodes are looked at again
        self._ours = not self._ray.is_initialized()
        if self._ours:
            _connect(self._ray, settings.address)
        try:
            self._check_room()
        except UserError:
            self.close()
            raise
        limits = {"num_cpus": settings.cpus_per_trial, "num_gpus": settings.gpus_per_trial, "max_retries": 0}
        self._task = self._ray.remote(**limits)(_task())

    @property
    def slots(self) -> int:
        """How many jobs fit the nodes that are there."""
        wanted = {"CPU": self._settings.cpus_per_trial, "GPU": self._settings.gpus_per_trial}
        return sum(
            min(math.floor(node.get(kind, 0.0) / share + 1e-6) for kind, share in wanted.items() if share)
            for node in self._nodes()
        )

    def submit(self, job: Job) -> None:
        self._queue.append(job)
        self._hand_out()

    def next(self) -> tuple[Job, Any]:
        if not self._tasks and not self._queue:
            raise IndexError("no job is queued")
        waited = 0.0
        while True:
            self._hand_out()
            ended, _ = self._ray.wait(list(self._tasks), num_returns=1, timeout=_GLANCE)
            if not ended:
                waited = 0.0 if self.slots else waited + _GLANCE
                if waited >= _PATIENCE:
                    self._check_room()
                continue
            job = self._tasks.pop(ended[0])
            try:
                reply, said = self._ray.get(ended[0])
            except self._ray.exceptions.RayTaskError as error:  # ours, before the work: the work's own is in the reply
                raise _not_installed(error) from error
            except self._ray.exceptions.RayError as error:
                reason = f"{type(error).__name__}: {str(error).strip().splitlines()[0].partition('. ')[0]}"
                if job.key in self._deaths:
                    return job, Lost(f"its worker was lost twice ({reason})")
                self._deaths.add(job.key)
                self._queue.appendleft(job)
                self._next_look = 0.0  # its node may be gone, too
                echo("WARNING", f"a worker was lost, and what it was doing is done again ({reason})")
                continue
            self._hand_out()
            for level, text in said:
                echo(level, text)
            return job, settle(reply)

    def close(self) -> None:
        if not self._ray.is_initialized():
            return
        for task in self._tasks:
            self._ray.cancel(task, force=True)
        self._queue.clear()
        self._tasks.clear()
        self._shared.clear()
        if self._ours:
            self._ray.shutdown()

    def _hand_out(self) -> None:
        """Start waiting jobs, in order, as many as there is room for."""
        if not self._queue:
            return
        room = max(self.slots, 1) - len(self._tasks)
        here = str(Path.cwd())
        while self._queue and room > 0:
            job, room = self._queue[0], room - 1
            name, stored = self._put(job.shared)
            task = self._task.remote(
                [path or here for path in sys.path], here, name, stored, pack(job.work),
                self._home, self._settings.gpus_per_trial > 0,
            )  # fmt: skip
            self._queue.popleft()
            self._tasks[task] = job

    def _put(self, name: str) -> tuple[str, Any]:
        """The shared value in the object store; the last few are kept there besides those that jobs wait for."""
        found = self._shared.pop(name, None)
        if found is not None:
            self._shared[name] = found
            return found
        writer = ArrayWriter()
        save_shared(self._provider(name), writer)
        found = self._shared[name] = (uuid.uuid4().hex, self._ray.put(writer.array()))
        waited_for = {job.shared for job in chain(self._queue, self._tasks.values())}
        for old in [old for old in list(self._shared)[:-KEPT] if old not in waited_for]:
            del self._shared[old]
        return found

    def _nodes(self) -> list[dict[str, float]]:
        """What each node has, as it was seen a few seconds ago."""
        now = time.monotonic()
        if now >= self._next_look:
            self._seen = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
            self._next_look = now + _GLANCE
        return self._seen

    def _check_room(self) -> None:
        if self.slots:
            return
        nodes = "; ".join(f"{node.get('CPU', 0):g} CPUs, {node.get('GPU', 0):g} GPUs" for node in self._nodes())
        raise UserError(
            f"a trial asks for {self._settings.cpus_per_trial:g} CPUs and {self._settings.gpus_per_trial:g} GPUs, and "
            f"no node of the Ray cluster has them ({nodes or 'it has no nodes'})",
            mend="lower `cpus_per_trial` or `gpus_per_trial` of `executor`, or add nodes; what is finished is kept",
        )


def _task() -> Any:
    """The function of a task; a local one travels by value, so that it runs before our packages can be found."""

    def task(paths: list[str], folder: str, name: str, stored: Any, work: bytes, home: str, on_gpu: bool) -> Any:
        sys.path.extend(path for path in paths if path not in sys.path)
        if os.path.isdir(folder):  # noqa: PTH112
            os.chdir(folder)
        from benchmark.search.executors.ray_cluster import perform_here

        return perform_here(name, stored, work, home, on_gpu)

    return task


@cache
def _recent() -> Recent:
    return Recent()


def perform_here(
    name: str, stored: np.ndarray, work: bytes, home: str, on_gpu: bool
) -> tuple[bytes, list[tuple[str, str]]]:
    """A job in a Ray worker: what came of it, and what was logged meanwhile."""
    import torch

    said: list[tuple[str, str]] = []
    listen(lambda level, text: said.append((level, text)))
    device = "cuda:0" if on_gpu else "cpu"  # Ray shows a task its own GPU alone
    stream: Any = ArrayReader(stored)
    reply = perform(work, lambda: _recent().take(name, lambda: load_shared(stream, home, device)))
    if on_gpu:
        torch.cuda.empty_cache()
    return reply, said


def _import_ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise UserError("`executor: ray` needs the package ray", mend="pip install 'bottega[ray]'") from error
    return ray


def _connect(ray: Any, address: str | None) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        ray.init(address="local", include_dashboard=False, **quiet)
        return
    _knock(os.environ.get("RAY_ADDRESS", "") if address == "auto" else address)
    try:
        ray.init(address=address, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise _no_cluster(address, str(error).splitlines()[0]) from error


def _knock(address: str) -> None:
    """See whether anybody is at `host:port`: Ray itself waits five minutes, and then ends this process."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon:
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except (OSError, ValueError, OverflowError) as error:
        raise _no_cluster(address, str(error)) from error


def _no_cluster(address: str, reason: str) -> UserError:
    return UserError(
        f"no Ray cluster at {address!r}: {reason}",
        mend="start one (`ray start --head`), mend `address`, or leave it out for a Ray on this machine",
    )


def _not_installed(error: Exception) -> Exception:
    cause = getattr(error, "cause", None)
    if not isinstance(cause, ImportError):
        return error
    return UserError(
        f"a node of the Ray cluster cannot start a trial: {cause}",
        mend="install Bottega and what your models need on every node, in the same versions",
    )
