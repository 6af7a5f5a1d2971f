"""Writing a feature table: rows in any order, memory independent of their number, whole or absent."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np

from workbench.errors import UserError
from workbench.features.layout import FORMAT, manifest_path, matrix_path
from workbench.files import escape_id, fingerprint, sha256_file, swap_folder, write_json

_BLOCK = 4096  # rows moved at a time when rows that never came are closed up


class TableWriter:
    """Write one feature table.

    Rows are placed at their item's position, whatever the order in which they come, so that the table does not depend
    on batching. Items that were never written are left out of the finished table.

    Parameters
    ----------
    table : the layer's folder, `.../<backend>/<model>/<layer>`.
    ids : item id of every row, in the order of the finished matrix.
    per_item : also write `<layer>/<item>.npy`, Ducho's interchange form.
    work : folder to work in, on the same file system; what is there is removed. Default: a hidden one beside the table.
    """

    def __init__(self, table: Path, ids: Sequence[str], per_item: bool = True, work: Path | None = None) -> None:
        self.table = table
        self.ids = list(ids)
        self._per_item = per_item
        self._done = np.zeros(len(self.ids), dtype=bool)
        self._dim: int | None = None
        self._stream: BinaryIO | None = None
        self._row_header = b""
        self._matrix_header = b""
        self._work = work or table.parent / f".{table.name}.{uuid.uuid4().hex[:8]}.tmp"
        shutil.rmtree(self._work, ignore_errors=True)
        self._items = self._work / "items"
        try:
            table.parent.mkdir(parents=True, exist_ok=True)
            self._items.mkdir(parents=True)
        except OSError as error:
            raise _disk_error(table, error) from error

    def write(self, rows: Sequence[int], values: np.ndarray) -> None:
        """Write `values` (B, D), float32, as the rows numbered `rows` (B)."""
        values = np.ascontiguousarray(values, dtype=np.float32)
        if values.ndim != 2 or len(values) != len(rows):
            raise ValueError(f"expected ({len(rows)}, D) values, got {values.shape}")
        refuse_misfits(self.table, [self.ids[row] for row in rows], values, self._dim)
        try:
            if self._dim is None:
                self._open(values.shape[1])
            self._write_rows(rows, values)
        except OSError as error:
            raise _disk_error(self.table, error) from error

    def commit(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Close the table, put it in the place of an older one and return the manifest that was written.

        `manifest` says what made the table (`recipe`, `fingerprint`, `versions`, ...); ids, counts and hash are added.
        """
        if self._stream is None or self._dim is None:
            raise UserError("no item gave features", where=self.table, mend="see the quarantine list beside it")
        try:
            return self._commit(dict(manifest))
        except OSError as error:
            raise _disk_error(self.table, error) from error

    def abandon(self) -> None:
        """Remove everything unfinished; a finished table of earlier stays as it was."""
        if self._stream is not None:
            with contextlib.suppress(OSError):  # closing writes what is still held, which a full disk refuses again
                self._stream.close()
        shutil.rmtree(self._work, ignore_errors=True)

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abandon()

    def _open(self, dim: int) -> None:
        self._dim = dim
        self._row_header = _header((1, dim))
        self._matrix_header = _header((len(self.ids), dim))
        self._stream = (self._work / "matrix.npy").open("w+b")
        self._stream.write(self._matrix_header)

    def _write_rows(self, rows: Sequence[int], values: np.ndarray) -> None:
        assert self._stream is not None and self._dim is not None
        start, width = len(self._matrix_header), 4 * self._dim
        for row, value in zip(rows, values, strict=True):
            data = value.tobytes()
            self._stream.seek(start + row * width)
            self._stream.write(data)
            if self._per_item:
                (self._items / f"{escape_id(self.ids[row])}.npy").write_bytes(self._row_header + data)
        self._done[np.asarray(rows)] = True

    def _commit(self, manifest: dict[str, Any]) -> dict[str, Any]:
        assert self._stream is not None and self._dim is not None
        # rows that never came may be the last ones; the file must reach as far as its header says
        self._stream.truncate(len(self._matrix_header) + 4 * self._dim * len(self.ids))
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._stream.close()
        matrix = self._work / "matrix.npy"
        kept = np.flatnonzero(self._done)
        if len(kept) < len(self.ids):
            matrix = self._close_up(matrix, kept)
        ids = [self.ids[row] for row in kept]
        manifest |= {"format": FORMAT, "items": len(ids), "dim": self._dim, "dtype": "float32"}
        manifest |= {"matrix_sha256": sha256_file(matrix), "ids": ids}
        manifest.setdefault("fingerprint", fingerprint([manifest["matrix_sha256"], ids]))
        write_json(self._work / "manifest.json", manifest)  # the last to need room: from here on, only names change
        manifest_path(self.table).unlink(missing_ok=True)
        matrix.replace(matrix_path(self.table))
        if self._per_item:
            swap_folder(self._items, self.table)
        elif self.table.exists():
            shutil.rmtree(self.table)  # files of an older extraction would contradict the new matrix
        (self._work / "manifest.json").replace(manifest_path(self.table))
        shutil.rmtree(self._work, ignore_errors=True)
        return manifest

    def _close_up(self, matrix: Path, kept: np.ndarray) -> Path:
        source = np.load(matrix, mmap_mode="r")
        target = self._work / "closed.npy"
        with target.open("wb") as stream:
            stream.write(_header((len(kept), source.shape[1])))
            for start in range(0, len(kept), _BLOCK):
                stream.write(source[kept[start : start + _BLOCK]].tobytes())
            stream.flush()
            os.fsync(stream.fileno())
        return target


def refuse_misfits(table: Path, ids: Sequence[str], values: np.ndarray, dim: int | None) -> None:
    """Refuse rows (B, D) that hold NaN or infinity, or whose length is not `dim` (None: any); the item is named."""
    bad = ~np.isfinite(values).all(axis=1)
    if bad.any():
        raise UserError(
            f"the backbone gave NaN or infinite values for item {ids[int(bad.argmax())]!r}",
            where=table,
            mend="look at that item's content, or try full precision",
        )
    if dim is not None and values.shape[1] != dim:
        raise UserError(
            f"item {ids[0]!r} has {values.shape[1]} values and the items before it {dim}",
            where=table,
            mend="give every item content of the same shape (for images: set `reshape`)",
        )


def _header(shape: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def _disk_error(table: Path, error: OSError) -> UserError:
    return UserError(
        f"cannot write: {error.strerror or error}; an earlier table there is untouched",
        where=table,
        mend="free disk space or check permissions, then run the same command again",
    )
