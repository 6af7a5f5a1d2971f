"""A folder with one file an item, `<item id>.<extension>`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from loguru import logger

from extractor.sources.base import Note, Source, file_digest, no_such_path
from workbench.errors import UserError
from workbench.files import unescape_name
from workbench.pairs import split_pair


class Folder(Source):
    """The files of a folder that have one of the `extensions`, sorted by item id.

    The id is the file name without its last extension, so that ids with dots survive; a name that the
    workbench has escaped (`%2E.%2Fx.jpg`) is the id that it stands for. Hidden files and files of another
    kind are left aside. Of two files for one id the first by name is taken, the other goes to `left_out`.

    Parameters
    ----------
    pairs : the files are those of interactions, `<user>__<item>.<extension>`.

    Raises
    ------
    UserError : no such folder, one that cannot be read, or no file of the kind in it.
    """

    extensions: ClassVar[frozenset[str]]
    noun: ClassVar[str]
    plural: ClassVar[str]

    def __init__(self, path: Path, where: str, pairs: bool = False) -> None:
        if not path.is_dir():
            raise no_such_path(path, where, f"folder of {self.plural}")
        self.path = path
        found: dict[str, tuple[str, str]] = {}
        skipped: list[str] = []
        notes: list[Note] = []
        for entry in self._entries(where):
            if not self._is_ours(entry):
                skipped.append(entry.name)
                continue
            item = unescape_name(os.path.splitext(entry.name)[0])  # noqa: PTH122 (`Path.stem` of `.jpg` is `.jpg`)
            if pairs and split_pair(item) is None:
                notes.append(Note(item, str(path / entry.name), "the name is not <user>__<item>"))
            elif item in found:
                reason = f"{found[item][0]} is this item's {self.noun} already"
                notes.append(Note(item, str(path / entry.name), reason))
            else:
                status = entry.stat()
                found[item] = (entry.name, f"{entry.name}\t{status.st_size}\t{status.st_mtime_ns}")
        if skipped:
            shown = ascii(skipped[0]) if len(skipped) == 1 else f"{skipped[0]!a} and {len(skipped) - 1} more"
            logger.info("{}: left aside what is no {}: {}", path, self.noun, shown)
        if notes:
            logger.warning("{}: {} files left out; the first: {}: {}", path, len(notes), notes[0].item, notes[0].reason)
        if not found:
            known = ", ".join(sorted(self.extensions))
            mend = notes[0].reason if notes else f"known are: {known}"
            raise UserError(f"no {self.noun} in this folder", where=path, mend=mend)
        self.left_out = notes
        self.ids: Sequence[str] = sorted(found)
        self._names = [found[item][0] for item in self.ids]
        self._marks = [found[item][1] for item in self.ids]

    def file(self, place: int) -> str:
        return str(self.path / self._names[place])

    def mark(self, place: int) -> str:
        return self._marks[place]

    def digest(self, place: int) -> bytes:
        return file_digest(self.path / self._names[place])

    def _entries(self, where: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self.path) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            raise UserError(
                f"the folder {self.path} cannot be read: {error.strerror}", where=where, mend="check its permissions"
            ) from None

    def _is_ours(self, entry: os.DirEntry[str]) -> bool:
        name, extension = os.path.splitext(entry.name)  # noqa: PTH122
        try:
            entry.name.encode()
        except UnicodeEncodeError:  # bytes that are no UTF-8 cannot stand in a manifest
            return False
        return bool(name) and not name.startswith(".") and extension.lower() in self.extensions and entry.is_file()
