"""What is finished of a table that is not: chunks of rows that survive whatever ends the process.

    .<layer>.work/              beside the layer's folder; hidden, and gone once the table stands
        run.lock                who is at the table
        <key>/                  everything but the content that determines the values
            <segment>.rows      rows of finished chunks, float32, end to end
            <segment>.log       a line of JSON for each chunk, written after its rows; before it, what was spent so far

Every process writes a segment of its own and reads all of them, so shards on several machines need nothing but the
folder. Rows count only where their line is whole and their hash is right; whatever else a killed process or a full
disk left there is passed over.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from extractor.chunks import Chunk, Shard
from workbench.errors import UserError
from workbench.features import refuse_misfits
from workbench.locks import Held, Lock


@dataclass(frozen=True)
class Reason:
    """Why a content gave no row; `by_model`: the content was readable, and one model could not use it."""

    text: str
    by_model: bool = False


@dataclass(frozen=True)
class Entry:
    """One finished chunk: where its rows lie, and which of its contents gave none (position -> reason)."""

    key: str
    segment: str
    offset: int
    rows: int
    dim: int
    shape: tuple[int, ...]
    sha256: str
    seconds: float
    unusable: dict[int, Reason]

    def usable(self, places: Sequence[int]) -> list[int]:
        """Those of the chunk's places that have a row, in the order of the rows."""
        return [place for position, place in enumerate(places) if position not in self.unusable]


@dataclass(frozen=True)
class Spending:
    """What a process has spent so far."""

    spent: dict[str, Any]


class Partial:
    """The finished chunks of one table.

    Parameters
    ----------
    table : the layer's folder.
    key : hash of what determines the values beside the content; what was kept under another one is removed.
    shard : the share of this process; None: it does everything, and no other may be at the table.

    Raises
    ------
    UserError : another process is at the table.
    """

    def __init__(self, table: Path, key: str, shard: Shard | None = None) -> None:
        self.table = table
        self._work = work_folder(table)
        self.folder = self._work / key
        self._alone = shard is None
        self._locks: list[Lock] = []
        self.done: dict[str, Entry] = {}
        self.backbone: dict[str, Any] | None = None
        self._spent: dict[str, dict[str, Any]] = {}  # of each process, by its segment
        self._segment = uuid.uuid4().hex[:12]
        self._rows: BinaryIO | None = None
        self._log: BinaryIO | None = None
        try:
            self.taken_over = self._claim(shard)
            if shard is None:
                self._remove_stale()
            self.folder.mkdir(parents=True, exist_ok=True)
            self.refresh()
        except OSError as error:
            self.close()
            raise self._disk_error(error) from error
        self._dim = next((entry.dim for entry in self.done.values() if entry.rows), None)

    def refresh(self) -> None:
        """Read what this and other processes have finished so far."""
        for log in sorted(self.folder.glob("*.log")):
            size = _size(log.with_suffix(".rows"))
            try:
                lines = log.read_bytes().split(b"\n")
            except FileNotFoundError:  # another shard has just put the table together
                continue
            for line in lines:
                found = _parse(line)
                if isinstance(found, Entry) and found.offset + 4 * found.rows * found.dim <= size:
                    self.done.setdefault(found.key, found)
                elif isinstance(found, Spending):
                    self._spent[log.stem] = found.spent
                elif isinstance(found, dict):
                    self.backbone = self.backbone or found

    def append(
        self,
        chunk: Chunk,
        ids: Sequence[str],
        values: np.ndarray | None,
        shape: tuple[int, ...],
        unusable: Mapping[int, Reason],
        seconds: float,
        describe: Callable[[], dict[str, Any]],
        spent: dict[str, Any] | None = None,
    ) -> None:
        """Keep a finished chunk: rows (B, D) of its usable contents, whose item ids are `ids` (B); None: no rows.

        `describe` tells about the backbone; it is asked with the first chunk. `spent`: see `spend`.
        """
        values = np.zeros((0, 0), np.float32) if values is None else np.ascontiguousarray(values, dtype=np.float32)
        if len(values):
            refuse_misfits(self.table, ids, values, self._dim)
            self._dim = values.shape[1]
        data = values.tobytes()
        try:
            rows, log = self._open(describe)
            entry = Entry(
                chunk.key, self._segment, rows.tell(), len(values), values.shape[1], shape,
                hashlib.sha256(data).hexdigest(), round(seconds, 4), dict(unusable),
            )  # fmt: skip
            rows.write(data)
            rows.flush()
            if spent is not None:
                self.spend(spent)
            log.write(json.dumps(asdict(entry)).encode() + b"\n")
            log.flush()
        except OSError as error:
            raise self._disk_error(error) from error
        self.done[chunk.key] = entry

    def spend(self, spent: dict[str, Any]) -> None:
        """Keep what this process has spent so far on the model, in the place of what it said before.

        Of no consequence where it has added no chunk.
        """
        if self._log is None:
            return
        try:
            self._log.write(json.dumps({"spent": spent}).encode() + b"\n")
            self._log.flush()
        except OSError as error:
            raise self._disk_error(error) from error
        self._spent[self._segment] = spent

    @property
    def spent(self) -> list[dict[str, Any]]:
        """What each process has spent that added a chunk."""
        return list(self._spent.values())

    def rows(self, key: str) -> np.ndarray | None:
        """The rows (B, D) of a finished chunk; None where they are damaged."""
        entry = self.done[key]
        try:
            with (self.folder / f"{entry.segment}.rows").open("rb") as stream:
                stream.seek(entry.offset)
                data = stream.read(4 * entry.rows * entry.dim)
        except OSError:
            return None
        if hashlib.sha256(data).hexdigest() != entry.sha256:
            return None
        return np.frombuffer(data, dtype=np.float32).reshape(entry.rows, entry.dim)

    def check(self, chunks: Sequence[Chunk]) -> None:
        """Forget those of the chunks whose rows are damaged."""
        for chunk in chunks:
            if chunk.key in self.done and self.rows(chunk.key) is None:
                del self.done[chunk.key]

    def alone(self) -> bool:
        """Whether no other process puts this table together; from then on none will."""
        try:
            self._locks.append(Lock(self._work / "together.lock"))
        except (Held, OSError):
            return False
        return True

    def close(self) -> None:
        """Let go of the table; what is finished stays."""
        for stream in (self._rows, self._log):
            if stream is not None:
                with contextlib.suppress(OSError):  # closing writes what is still held, which a full disk refuses again
                    stream.close()
        if not self.done and self._locks and self._alone:
            self.remove()
        for lock in reversed(self._locks):
            lock.release()

    def remove(self) -> None:
        """Remove everything: the table stands."""
        shutil.rmtree(self._work, ignore_errors=True)

    def __enter__(self) -> Partial:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _claim(self, shard: Shard | None) -> str | None:
        """Lock the table: alone, or together with the other shards. Returns whose lock was found lying there."""
        wanted = [("run.lock", shard is not None)]
        if shard is not None:
            wanted.append((f"shard-{shard.index}-of-{shard.count}.lock", False))
        for name, shared in wanted:
            try:
                self._locks.append(Lock(self._work / name, shared))
            except Held as holder:
                self.close()
                raise UserError(
                    f"{holder.by or 'another process, a shard,'} is at this table already",
                    where=self.table,
                    mend="wait until it has ended, or stop it; what is finished is kept and used",
                ) from None
        return next((lock.taken_over for lock in self._locks if lock.taken_over), None)

    def _remove_stale(self) -> None:
        """Remove what was kept under another key, and what a killed process left beside the table."""
        for path in self._work.iterdir():
            if path.is_dir() and path != self.folder:
                shutil.rmtree(path, ignore_errors=True)
        for path in self.table.parent.iterdir():
            if path.name.startswith(f".{self.table.name}.") and path.suffix in (".tmp", ".old") and path.is_dir():
                shutil.rmtree(path, ignore_errors=True)

    def _open(self, describe: Callable[[], dict[str, Any]]) -> tuple[BinaryIO, BinaryIO]:
        if self._rows is None or self._log is None:
            self.backbone = self.backbone or describe()
            self._rows = (self.folder / f"{self._segment}.rows").open("wb")
            self._log = (self.folder / f"{self._segment}.log").open("wb")
            self._log.write(json.dumps({"backbone": self.backbone}).encode() + b"\n")
        return self._rows, self._log

    def _disk_error(self, error: OSError) -> UserError:
        return UserError(
            f"cannot write: {error.strerror or error}; an earlier table there is untouched",
            where=self.table,
            mend="free disk space or check permissions, then run the same command again: it goes on from there",
        )


def work_folder(table: Path) -> Path:
    """Where the unfinished parts of a table lie."""
    return table.with_name(f".{table.name}.work")


def clear_away(table: Path) -> None:
    """Remove what was kept of a table that stands: a process was killed right after it had put it together."""
    work = work_folder(table)
    if work.is_dir():
        with contextlib.suppress(Held, OSError):
            lock = Lock(work / "run.lock")
            shutil.rmtree(work, ignore_errors=True)
            lock.release()


def _parse(line: bytes) -> Entry | Spending | dict[str, Any] | None:
    """An entry, what was spent, the description of the backbone, or None for a line that is not whole."""
    try:
        found = json.loads(line)
        if "spent" in found:
            return Spending(dict(found["spent"]))
        if "backbone" in found:
            return dict(found["backbone"])
        found["shape"] = tuple(found["shape"])
        found["unusable"] = {int(place): Reason(**reason) for place, reason in found["unusable"].items()}
        return Entry(**found)
    except (ValueError, KeyError, TypeError):
        return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
