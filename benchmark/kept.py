"""What is computed once for all trials, in whatever process: tensors in a folder, one safetensors file a key.

The folder may be removed at any time. A file that is damaged, or another key's, is made anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from loguru import logger
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from workbench.errors import UserError
from workbench.files import atomic_file, fingerprint, sha256_array
from workbench.locks import Held, Lock

Tensors = dict[str, Tensor]

_GLANCE = 0.05  # seconds between looks at a lock


def keep(folder: Path, key: str, make: Callable[[], Tensors]) -> Tensors:
    """What `make` returns, on the CPU: from the file of that key, or made by one process while the others wait for it.

    Where the folder above `folder` is not there (that of another machine) it is made and not kept; so it is, with a
    warning, where nothing can be written.
    """
    if not folder.parent.is_dir():
        return make()
    path = folder / f"{fingerprint(key)}.safetensors"
    found = _read(path, key)
    if found is None:
        with _alone(path.with_suffix(".lock")):
            found = _read(path, key)  # whom we waited for may have made it
            if found is None:
                if path.exists():
                    logger.warning("{}: damaged, or made for something else; it is made anew", path)
                found = {name: value.detach().cpu().contiguous() for name, value in make().items()}
                _write(path, key, found)
    return found


def _read(path: Path, key: str) -> Tensors | None:
    """The tensors, None where they are not there whole."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            found = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError):
        return None
    return found if metadata == _metadata(key, found) else None


def _write(path: Path, key: str, tensors: Tensors) -> None:
    try:
        for torn in path.parent.glob(f".{path.name}.*.tmp"):
            torn.unlink(missing_ok=True)  # what a kill in the middle of writing left
        with atomic_file(path) as temporary:
            temporary.write_bytes(save(tensors, _metadata(key, tensors)))  # save_file would let nobody else read it
    except (OSError, SafetensorError, UserError) as error:
        logger.warning("{}; what was computed is not kept for later runs", str(error).splitlines()[0])


def _metadata(key: str, tensors: Tensors) -> dict[str, str]:
    parts = [
        [name, str(each.dtype), list(each.shape), sha256_array(each.reshape(-1).view(torch.uint8).numpy())]
        for name, each in sorted(tensors.items())
    ]
    return {"key": key, "check": fingerprint(parts)}


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep other processes out meanwhile; without effect where no lock can be had."""
    lock = None
    with suppress(OSError):
        lock = _wait_for(path)
    try:
        yield
    finally:
        if lock is not None:
            with suppress(OSError):
                path.unlink()
            lock.release()


def _wait_for(path: Path) -> Lock:
    told = False
    while True:
        try:
            return Lock(path)
        except Held as held:
            if held.by and not told:
                logger.info("{} is computing the same; it is waited for", held.by)
                told = True
            time.sleep(_GLANCE)
