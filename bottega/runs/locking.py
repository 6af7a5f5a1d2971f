"""Whether somebody works in a results folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from workbench.errors import UserError
from workbench.locks import Held, Lock

LOCK = ".lock"  # as `benchmark.experiment.run` has it


def holder(folder: Path) -> str | None:
    """Who works there, None for nobody; empty where the lock does not tell."""
    if not (folder / LOCK).is_file():
        return None
    try:
        Lock(folder / LOCK, shared=True).release()
    except Held as error:
        return error.by
    except OSError:  # a folder of somebody else
        return None
    return None


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Keep others out meanwhile.

    Raises
    ------
    UserError : an experiment is running there, or the folder cannot be written.
    """
    try:
        lock = Lock(folder / LOCK)
    except Held as error:
        who = f" ({error.by})" if error.by else ""
        mend = "let it end, or stop it first"
        raise UserError(f"an experiment is running in this folder{who}", where=folder, mend=mend) from None
    except OSError as error:
        raise UserError(f"cannot write: {error.strerror}", where=folder, mend="check the permissions") from error
    try:
        yield
    finally:
        lock.release()
