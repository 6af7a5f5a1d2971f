"""Item ids as file names, writes that are whole or absent, and content hashes."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np

from workbench.errors import UserError

# Bytes that a file name keeps as they are; everything else is percent-encoded. Non-ASCII text stays readable.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\%<>:"|?*]')
_LONGEST_NAME = 200  # bytes; the usual limit is 255, and the extension and a temporary suffix need room


def escape_id(item_id: str) -> str:
    """File name (without extension) for an item id; reversible by `unescape_name` unless longer than 200 bytes.

    Separators, control characters, `%` and a leading dot are percent-encoded, so that no id can name a path
    outside its folder. A longer id keeps its first characters and ends in a hash of the whole.
    """
    if not item_id:
        raise UserError("an item id is empty", mend="give every item an id")
    name = _UNSAFE.sub(lambda match: quote(match.group(), safe=""), item_id)
    if name.startswith("."):
        name = "%2E" + name[1:]
    encoded = name.encode("utf-8", errors="surrogatepass")
    if len(encoded) > _LONGEST_NAME:
        digest = hashlib.sha256(item_id.encode("utf-8", errors="surrogatepass")).hexdigest()[:16]
        name = encoded[: _LONGEST_NAME - 20].decode("utf-8", errors="ignore") + "%~" + digest
    return name


def unescape_name(name: str) -> str:
    """The item id behind a file name; a name that `escape_id` cannot have written is an id as it stands."""
    item_id = unquote(name)
    return item_id if item_id and escape_id(item_id) == name else name


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """A full disk or a missing permission as one sentence."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"cannot write: {error.strerror or error}",
            where=path,
            mend="free disk space or check permissions",
        ) from error


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Yield a temporary sibling to write to; on success it replaces `path`, on failure nothing is left."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{uuid.uuid4().hex[:8]}.tmp"
    try:
        with disk_errors(path):
            yield temporary
            _sync(temporary)
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary sibling folder to fill; on success it takes the place of `path`, whole."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{uuid.uuid4().hex[:8]}.tmp"
    temporary.mkdir()
    try:
        with disk_errors(path):
            yield temporary
            swap_folder(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def swap_folder(new: Path, path: Path) -> None:
    """Put folder `new` in the place of `path`; the old one goes only once the new one stands there."""
    old = path.parent / f".{path.name}.{uuid.uuid4().hex[:8]}.old"
    if path.exists():
        path.replace(old)
    try:
        new.replace(path)
    except BaseException:
        if old.exists():
            old.replace(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 file, whole or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: str | Path, value: Any) -> None:
    """Write indented JSON, whole or not at all; JSON has no NaN and no infinity: they become null."""
    write_text(path, json.dumps(_finite(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    """The same nested value with None for every number that is not finite."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_json(path: str | Path) -> Any:
    """Read a JSON file; a broken one is a `UserError` that names it."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(
            f"not readable as JSON: {error}", where=path, mend="delete it and run the step again"
        ) from error


def sha256_file(path: str | Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes, read in blocks of 1 MiB."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def sha256_array(array: np.ndarray) -> str:
    """Hexadecimal SHA-256 of an array's values (not of its shape or type)."""
    # as bytes in place: a copy of a large feature matrix would double its memory
    return hashlib.sha256(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data).hexdigest()


def fingerprint(value: Any) -> str:
    """Short hash (16 hexadecimal digits) of any JSON-like value, independent of key order."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()[:16]


def link_or_copy(source: Path, target: Path) -> None:
    """Hard link `source` at `target`, which costs no disk; copy where the file system has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
