"""Worker processes on this machine.

`concurrent.futures` gives up all its workers when one of them dies; here a death costs the job that caused it, only.
"""

from __future__ import annotations

import pickle
import signal
import sys
import tempfile
import types
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from benchmark.forking import interrupts_later, start_early
from benchmark.search.executors.base import Job, Lost, Provider
from benchmark.search.executors.travel import KEPT, echo, pack, save_shared, settle
from benchmark.search.executors.worker import serve


class Processes:
    """Works jobs off in `workers` processes; see `Executor`.

    Parameters
    ----------
    home : type of the device (`cpu`, `cuda`) that the provider's values are on.
    devices : worker i computes on device i modulo their number; several may share a GPU.
    workers : how many.
    """

    def __init__(self, provider: Provider, home: str, devices: Sequence[str], workers: int) -> None:
        self.slots = workers
        self._devices, self._home = devices, home
        self._context = start_early()
        self._shared = _SharedFiles(provider)
        self._queue: deque[Job] = deque()
        self._idle = list(range(workers))
        self._workers: dict[int, _Worker] = {}
        self._busy: dict[int, Job] = {}  # the longest at work first
        self._deaths: set[str] = set()

    def submit(self, job: Job) -> None:
        self._queue.append(job)
        self._hand_out()

    def next(self) -> tuple[Job, Any]:
        if not self._busy:
            raise IndexError("no job is queued")
        while True:
            wait([end for place in self._busy for end in self._workers[place].ends])
            for place in list(self._busy):
                reply = self._workers[place].reply()
                if reply is _WORKING:
                    continue
                job = self._busy.pop(place)
                if isinstance(reply, bytes):
                    self._idle.append(place)
                    self._hand_out()
                    return job, settle(reply)
                died = self._workers.pop(place).bury()
                self._idle.append(place)
                again = job.key not in self._deaths
                if again:
                    self._deaths.add(job.key)
                    self._queue.appendleft(job)
                    echo("WARNING", f"a worker {died}; what it was doing is done again")
                self._hand_out()
                if not again:
                    return job, Lost(f"its worker {died}, twice")

    def close(self) -> None:
        self._queue.clear()
        self._busy.clear()
        for worker in self._workers.values():
            worker.process.kill()  # all of them before the first is waited for
        for worker in self._workers.values():
            worker.bury()
        self._workers.clear()
        self._shared.close()

    def _hand_out(self) -> None:
        """Give waiting jobs to idle workers."""
        while self._queue and self._idle:
            job, place = self._queue[0], min(self._idle)
            self._worker(place)  # before values are written: it removes them if this process is killed
            path = self._shared.path(job.shared, chain(self._queue, self._busy.values()))
            message = pickle.dumps((path, pack(job.work)))
            while not self._worker(place).send(message):  # it died while it was idle
                self._workers.pop(place).bury()
            self._queue.popleft()
            self._idle.remove(place)
            self._busy[place] = job

    def _worker(self, place: int) -> _Worker:
        if place not in self._workers:
            device = self._devices[place % len(self._devices)]
            self._workers[place] = _Worker(self._context, self._home, device, self._shared.folder)
        return self._workers[place]


_WORKING = object()


class _Worker:
    """A process and the pipe to it."""

    def __init__(self, context: Any, *arguments: Any) -> None:
        self._pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, *arguments), daemon=True)
        with _without_main(), interrupts_later():
            self.process.start()
        theirs.close()

    @property
    def ends(self) -> tuple[Any, int]:
        """What becomes ready when it has said something, and when it is dead."""
        return self._pipe, self.process.sentinel

    def send(self, message: bytes) -> bool:
        """Whether it was there to take the message."""
        try:
            self._pipe.send_bytes(message)
        except OSError:
            return False
        return True

    def reply(self) -> Any:
        """What came of its job, `_WORKING` where nothing has yet, None where it died."""
        dead = bool(wait([self.process.sentinel], timeout=0))  # before its pipe is read: a last reply counts
        try:
            while self._pipe.poll():
                kind, *content = pickle.loads(self._pipe.recv_bytes())
                if kind == "ended":
                    return content[0]
                echo(*content)
        except (EOFError, OSError):
            dead = True
        return None if dead else _WORKING

    def bury(self) -> str:
        """Make sure that it is gone; says how it ended."""
        self._pipe.close()
        self.process.join(timeout=0.5)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
        code = self.process.exitcode or 0
        self.process.close()
        if code >= 0:
            return f"ended with status {code}"
        with suppress(ValueError):
            name = signal.Signals(-code).name
            return f"was killed by {name}" + (" (is memory short?)" if name == "SIGKILL" else "")
        return f"was killed by signal {-code}"


class _SharedFiles:
    """Shared values as files in a folder that goes with this process."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._folder = tempfile.TemporaryDirectory(prefix="bottega-", ignore_cleanup_errors=True)
        self.folder = self._folder.name
        self._paths: dict[str, str] = {}  # the last used at the end
        self._written = 0

    def path(self, name: str, jobs: Iterable[Job]) -> str:
        """Where the shared value of that name stands.

        Unless it is there it is written, and those go that none of `jobs` needs, but for a few that were used last.
        """
        path = self._paths.pop(name, None)
        if path is not None:
            self._paths[name] = path
            return path
        self._written += 1
        path = str(Path(self.folder) / f"{self._written}.pt")  # never a name again: workers know them by path
        save_shared(self._provider(name), path)
        self._paths[name] = path
        needed = {job.shared for job in jobs}
        for old in [old for old in list(self._paths)[:-KEPT] if old not in needed]:
            with suppress(OSError):  # on Windows, while a worker still maps it; the folder goes in the end
                Path(self._paths.pop(old)).unlink()
        return path

    def close(self) -> None:
        self._folder.cleanup()


@contextmanager
def _without_main() -> Iterator[None]:
    """Hide the main module: a worker would run the script again, and cloudpickle sends what it needs of it."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
