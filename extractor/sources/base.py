"""What every source gives to the pipeline."""

from __future__ import annotations

import difflib
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from workbench.errors import UserError
from workbench.files import sha256_file


class Unusable(Exception):
    """One item's content cannot be used; the message is the reason. It is quarantined, the job goes on."""


class Note(NamedTuple):
    """One line of the quarantine list."""

    item: str
    file: str
    reason: str


class Source(ABC):
    """A sequence of items. Ids are held in memory, contents are not.

    Attributes
    ----------
    ids : item id of every place.
    left_out : items that were never candidates (an image without a text, ...), for the quarantine list.
    path : what was read, for messages.
    noun, plural : what one content is called, and several.
    """

    ids: Sequence[str]
    left_out: Sequence[Note] = ()
    path: Path
    noun: ClassVar[str] = "content"
    plural: ClassVar[str] = "contents"

    @abstractmethod
    def read(self, place: int) -> Any:
        """Read and decode the content of one item; called from several threads at once.

        Raises
        ------
        Unusable : the content is broken or empty.
        """

    @abstractmethod
    def file(self, place: int) -> str:
        """Where the item was read from, for the quarantine list."""

    @abstractmethod
    def mark(self, place: int) -> str:
        """A short text that changes when the item's content changes."""

    def digest(self, place: int) -> bytes:
        """Hash of the content itself: items with the same one are extracted once and share the row.

        A source that cannot tell contents apart says by id and mark that no two are the same.
        """
        return sha256_bytes(f"{self.ids[place]}\t{self.mark(place)}".encode("utf-8", errors="surrogatepass"))

    @cached_property
    def content(self) -> str:
        """Hash of the whole listing: ids in order, each with its mark."""
        digest = hashlib.sha256()
        for place, item in enumerate(self.ids):
            digest.update(f"{item}\t{self.mark(place)}\n".encode("utf-8", errors="surrogatepass"))
        return digest.hexdigest()[:16]

    def __len__(self) -> int:
        return len(self.ids)


def sha256_bytes(content: bytes) -> bytes:
    """The first 16 bytes of a SHA-256: enough to tell contents apart."""
    return hashlib.sha256(content).digest()[:16]


def file_digest(path: Path) -> bytes:
    """`sha256_bytes` of a file; of its name where it cannot be read, which reading it will report."""
    try:
        return bytes.fromhex(sha256_file(path))[:16]
    except OSError:
        return sha256_bytes(str(path).encode("utf-8", errors="surrogatepass"))


def no_such_path(path: Path, where: str, what: str) -> UserError:
    """The error for an input path that is not there, with the nearest name beside it."""
    parent = path.parent
    while not parent.is_dir() and parent != parent.parent:
        parent = parent.parent
    missing = path.relative_to(parent).parts[0] if path != parent else path.name
    names = [entry.name for entry in parent.iterdir()] if parent.is_dir() else []
    near = difflib.get_close_matches(missing, names, n=1)
    mend = f"did you mean {parent / near[0]}?" if near else f"{parent} has no `{missing}`; check the path"
    return UserError(f"no such {what}: {path}", where=where, mend=f"{mend} (paths start at dataset_path)")
