"""How worker processes start: forked from a server that has loaded what they have in common. Loads nothing heavy."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# what every trial needs; torch loads the last one when the first optimiser is made, which takes a second
_COMMON = ["torch", "benchmark.search.executors.worker", "benchmark.search.trial", "torch._dynamo"]
_SERVER = "benchmark.search.executors.server"


def start_early() -> Any:
    """The way that workers start; the server that they are forked from begins to load, in a process of its own.

    Called again, it finds the server at work.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    from multiprocessing import forkserver, resource_tracker

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*_COMMON, _SERVER])
    resource_tracker.ensure_running()  # starting it would let interrupts through again
    with interrupts_later(), _sleeping_threads():
        forkserver.ensure_running()
    return context


@contextmanager
def interrupts_later() -> Iterator[None]:
    """Keep Ctrl-C from processes that are being started; this process gets it afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _sleeping_threads() -> Iterator[None]:
    """Let threads of processes that start now sleep at once when they wait: those of several workers share cores."""
    before = os.environ.get("GOMP_SPINCOUNT")
    os.environ["GOMP_SPINCOUNT"] = "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ["GOMP_SPINCOUNT"]
        else:
            os.environ["GOMP_SPINCOUNT"] = before
