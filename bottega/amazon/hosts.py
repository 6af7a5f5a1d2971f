"""Politeness: how often, how many at once, and how long after a refusal a host is asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bottega.amazon.miss import Miss, Stopped

_PATIENCE = 25  # failures in a row, after which a host is left alone for the rest of the run


class Host:
    """One host, asked by several threads.

    Parameters
    ----------
    limit : requests at a time.
    delay : seconds from the start of one request to the start of the next.
    stop : set when the job ends; waiting threads then raise `Stopped`.
    """

    def __init__(self, name: str, limit: int, delay: float, stop: threading.Event) -> None:
        self.name = name
        self._delay = delay
        self._stop = stop
        self._slots = threading.Semaphore(limit)
        self._lock = threading.Lock()
        self._next = 0.0  # monotonic seconds, before which no request may start
        self._failures = 0

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a place and for the moment to ask; the place is held while the body runs.

        Raises
        ------
        Miss : the host has failed too often in a row.
        """
        with self._slots:
            while (wait := self._reserve()) > 0:
                if self._stop.wait(wait):
                    raise Stopped
            if self._failures >= _PATIENCE:
                raise Miss(f"{self.name} failed {_PATIENCE} times in a row and was left alone", final=False)
            if self._stop.is_set():
                raise Stopped
            yield

    def pause(self, seconds: float) -> None:
        """Let nobody ask for that long."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)

    def answered(self, well: bool) -> None:
        """Note that a request ended, with an answer of any kind or with a failure of the host."""
        with self._lock:
            self._failures = 0 if well else self._failures + 1

    def _reserve(self) -> float:
        """0 if the caller may ask now, which books the moment; else the seconds to wait and try again."""
        with self._lock:
            now = time.monotonic()
            if now < self._next:
                return self._next - now
            self._next = now + self._delay
            return 0.0
