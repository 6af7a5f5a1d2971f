"""One job after the other, in this process."""

from __future__ import annotations

from collections import deque
from typing import Any

from benchmark.search.executors.base import Job, Provider


class Serial:
    """Works jobs off in the order in which they came; see `Executor`."""

    slots = 1

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._queue: deque[Job] = deque()

    def submit(self, job: Job) -> None:
        self._queue.append(job)

    def next(self) -> tuple[Job, Any]:
        job = self._queue.popleft()
        return job, job.work(self._provider(job.shared))

    def close(self) -> None:
        self._queue.clear()
