"""Locks on files, which the system lets go when their process ends, however it ends."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import time
from pathlib import Path
from typing import TextIO

try:
    import fcntl
except ImportError:  # Windows: two processes at one table are not noticed there
    fcntl = None  # type: ignore[assignment]


class Held(Exception):
    """Another process holds the lock; `by` says which (empty: several share it)."""

    def __init__(self, by: str) -> None:
        self.by = by
        super().__init__(by)


class Lock:
    """A lock file with the process, machine and time of its holder in it.

    Parameters
    ----------
    path : the file; its folder is made.
    shared : several may hold the lock together, but nobody may hold it alone meanwhile.

    Raises
    ------
    Held : it is taken. The file of a process that is gone is no hindrance; `taken_over` tells of it.
    """

    def __init__(self, path: Path, shared: bool = False) -> None:
        self.path = path
        self._stream = self._open(shared)
        self._stream.seek(0)
        self.taken_over = _describe(self._stream.read()) or None
        self._stream.truncate(0)
        if not shared:
            json.dump({"pid": os.getpid(), "host": platform.node(), "since": time.strftime("%H:%M:%S")}, self._stream)
            self._stream.flush()

    def release(self) -> None:
        """Empty the file, which says that its holder ended well, and let go."""
        with contextlib.suppress(OSError):
            self._stream.truncate(0)
        self._stream.close()

    def _open(self, shared: bool) -> TextIO:
        while True:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                stream = self.path.open("a+", encoding="utf-8", errors="replace")
            except FileNotFoundError:  # the folder went between the two calls
                continue
            try:
                if fcntl is not None:
                    fcntl.flock(stream, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            except BlockingIOError:
                stream.seek(0)
                holder = _describe(stream.read())
                stream.close()
                raise Held(holder) from None
            # the holder before may have removed the file while we opened it: then the lock is on nothing
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(stream.fileno()), self.path.stat()):
                    return stream
            stream.close()


def _describe(text: str) -> str:
    """The holder that a lock file names; empty where it names none."""
    try:
        holder = json.loads(text)
        return f"process {holder['pid']} on {holder['host']}, since {holder['since']}"
    except (ValueError, KeyError, TypeError):
        return ""
