"""What an executor is: it works off jobs on shared values, somewhere, and hands back what they return."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Job:
    """A piece of work that can travel to another process or machine.

    Attributes
    ----------
    key : its name, unlike that of any other job.
    shared : name of the shared value that it works on.
    work : called with the shared value, which it must not change; with cloudpickle it can be pickled, and so can what
        it returns.
    """

    key: str
    shared: str
    work: Callable[[Any], Any]


@dataclass(frozen=True)
class Lost:
    """In the place of a result: the job ended its worker twice (`reason` says how), or its result cannot travel."""

    reason: str


class Executor(Protocol):
    """Works off jobs; the same job gives the same result wherever it runs."""

    @property
    def slots(self) -> int:
        """How many jobs run at once."""

    def submit(self, job: Job) -> None:
        """Queue a job; jobs begin in the order in which they came."""

    def next(self) -> tuple[Job, Any]:
        """Wait for a job that has ended, whichever comes first: the job, and what it returned or `Lost`.

        An exception of the work itself is raised here. `IndexError` where nothing is queued.
        """

    def close(self) -> None:
        """End all workers, at once, whatever they are doing."""


Provider = Callable[[str], Any]  # name of a shared value -> the value, on the device of this process
