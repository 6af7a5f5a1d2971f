"""The results folder of an experiment: where it lies, and whether somebody works there. Loads nothing heavy."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.errors import UserError
from workbench.locks import Held, Lock

RESULTS = Path("results")
LOCK = ".lock"
DERIVED = ".derived"  # beside the results folders of a data set: what their models compute once for all of them
_GLANCE = 1.0  # seconds in which those who only look must be gone


@contextmanager
def alone_in(folder: Path, doing: str = "sweep") -> Iterator[None]:
    """Keep others out of a results folder meanwhile.

    Parameters
    ----------
    doing : what is likely to be at work there, for the message.

    Raises
    ------
    UserError : another process is at work there, or the folder cannot be written.
    """
    try:
        lock = _lock(folder / LOCK)
    except Held as held:
        raise UserError(
            f"another {doing} is at work in this folder" + (f" ({held.by})" if held.by else ""),
            where=folder,
            mend="wait for it or stop it; an experiment file of another name has a folder of its own",
        ) from None
    except OSError as error:
        raise UserError(f"cannot write: {error.strerror}", where=folder, mend="check the permissions") from error
    try:
        yield
    finally:
        lock.release()


def holder(folder: Path) -> str | None:
    """Who works there, None for nobody; empty where the lock does not tell."""
    if not (folder / LOCK).is_file():
        return None
    try:
        Lock(folder / LOCK, shared=True).release()
    except Held as held:
        return held.by
    except OSError:  # a folder of somebody else
        return None
    return None


def _lock(path: Path) -> Lock:
    """The lock for us alone; `holder`, which leaves no name, is waited for."""
    end = time.monotonic() + _GLANCE
    while True:
        try:
            return Lock(path)
        except Held as held:
            if held.by or time.monotonic() > end:
                raise
            time.sleep(0.02)
