"""A results folder is removed, or only its weights."""

from __future__ import annotations

import contextlib
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from benchmark.folder import alone_in
from bottega.runs.finding import is_run
from workbench.errors import UserError


def check_removable(folder: Path) -> None:
    """Refuse anything but a results folder at rest.

    Raises
    ------
    UserError : no results folder, a link, a folder around the current one or around other runs, or one in use.
    """
    if not is_run(folder):
        raise UserError("no results folder", where=folder, mend="`bottega runs ls` shows those that are there")
    if folder.is_symlink():
        raise UserError("a link, not a results folder", where=folder, mend="remove the folder that it leads to")
    place, here = folder.resolve(), Path.cwd()
    if place == here or place in here.parents or (place / "data").is_dir() or (place / ".git").exists():
        raise UserError("more than a results folder", where=folder, mend="go to the project's folder and name the run")
    with alone_in(folder, "command"):
        pass


def remove(folder: Path) -> None:
    """Remove a results folder with everything in it; it is gone at once or not at all."""
    check_removable(folder)
    gone = folder.parent / f".{folder.name}.{uuid.uuid4().hex[:8]}.old"
    with _writable(folder):
        with alone_in(folder, "command"):
            folder.replace(gone)
        shutil.rmtree(gone)


def remove_weights(folder: Path) -> int:
    """Remove the weights that were kept; returns their number of files. Figures and tables stay."""
    check_removable(folder)
    files = [path for path in (folder / "checkpoints").rglob("*") if path.is_file()]
    with _writable(folder), alone_in(folder, "command"):
        for path in files:
            path.unlink()
    return len(files)


@contextlib.contextmanager
def _writable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"cannot be removed: {error.strerror or error}", where=folder, mend="check the permissions"
        ) from error
