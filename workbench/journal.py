"""The journal: one line a finished piece of work, appended and flushed, found again by its key."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from loguru import logger

from workbench.files import fingerprint


class Journal:
    """Records by kind and key in a file of JSON lines, each with a checksum; a line torn by a crash is left out."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._records: dict[tuple[str, str], dict[str, Any]] = {}
        self._torn = False  # whether the last line lacks its end
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            self._load()

    def get(self, kind: str, key: str) -> dict[str, Any] | None:
        """The latest record of that kind and key."""
        return self._records.get((kind, key))

    def append(self, kind: str, key: str, values: dict[str, Any]) -> dict[str, Any]:
        """Add a record and return it as `get` does; when this returns it is on disk."""
        record = {"kind": kind, "key": key, **values}
        line = json.dumps({**record, "check": fingerprint(record)}, ensure_ascii=False)
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(("\n" if self._torn else "") + line + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        self._torn = False
        self._records[kind, key] = record
        return record

    def _load(self) -> None:
        damaged = 0
        text = self._path.read_text(encoding="utf-8", errors="replace")
        self._torn = not text.endswith("\n") and bool(text)
        for line in text.split("\n"):
            try:
                record = json.loads(line)
                intact = record.pop("check") == fingerprint(record)
            except (json.JSONDecodeError, KeyError, AttributeError, TypeError):
                intact = False
            if intact:
                self._records[record["kind"], record["key"]] = record
            elif line:
                damaged += 1
        if damaged:
            logger.warning("{}: {} damaged lines are left out; what they recorded runs again", self._path, damaged)
