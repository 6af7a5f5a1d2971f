"""The journal: one line a finished piece of work, appended and flushed, found again by its key."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from loguru import logger

from workbench.errors import UserError
from workbench.files import disk_errors, fingerprint

FORMAT = 1  # of the lines; one that is higher was written by a later version


class Journal:
    """Records by kind and key in a file of JSON lines, each with a checksum; a line torn by a crash is left out.

    The first line says in which format the others are.

    Raises
    ------
    UserError : the file is of a later format, or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._records: dict[tuple[str, str], dict[str, Any]] = {}
        self._torn = False  # whether the last line lacks its end
        if path.exists():
            self._load()

    @property
    def path(self) -> Path:
        return self._path

    def get(self, kind: str, key: str) -> dict[str, Any] | None:
        """The latest record of that kind and key."""
        return self._records.get((kind, key))

    def append(self, kind: str, key: str, values: dict[str, Any]) -> dict[str, Any]:
        """Add a record and return it as `get` does; when this returns it is on disk.

        Raises
        ------
        UserError : it cannot be written; what was written before is not touched.
        """
        if not self._path.exists():
            with disk_errors(self._path):
                self._path.parent.mkdir(parents=True, exist_ok=True)
            self._write({"kind": "format", "key": "journal", "version": FORMAT})
        record = self._write({"kind": kind, "key": key, **values})
        self._records[kind, key] = record
        return record

    def _write(self, record: dict[str, Any]) -> dict[str, Any]:
        text = json.dumps({**record, "check": fingerprint(record)}, ensure_ascii=False)
        line = (("\n" if self._torn else "") + text + "\n").encode("utf-8", errors="surrogatepass")
        self._torn = True  # until the whole line is there
        with disk_errors(self._path), self._path.open("ab", buffering=0) as stream:
            while line:
                line = line[stream.write(line) :]
            os.fsync(stream.fileno())
        self._torn = False
        return record

    def _load(self) -> None:
        damaged = 0
        try:
            text = self._path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise UserError(
                f"cannot read the journal: {error.strerror}", where=self._path, mend="check what it is, and permissions"
            ) from error
        self._torn = not text.endswith("\n") and bool(text)
        for line in text.split("\n"):
            try:
                record = json.loads(line)
                intact = record.pop("check") == fingerprint(record)
            except (ValueError, RecursionError, KeyError, AttributeError, TypeError):
                intact = False
            if intact:
                self._records[record["kind"], record["key"]] = record
            elif line:
                damaged += 1
        if damaged:
            logger.warning("{}: {} damaged lines are left out; what they recorded runs again", self._path, damaged)
        header = self._records.pop(("format", "journal"), {"version": FORMAT})
        if header["version"] > FORMAT:
            raise UserError(
                f"a journal of format {header['version']}, of a later version of the bench (this one knows {FORMAT})",
                where=self._path,
                mend="update the bench, or move the folder away",
            )
