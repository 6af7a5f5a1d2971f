"""Reading a feature table: rows are found by item id, never by position or directory order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from workbench.errors import UserError
from workbench.features.layout import FORMAT, manifest_path, matrix_path
from workbench.files import read_json, sha256_file, unescape_name


@dataclass(frozen=True)
class FeatureTable:
    """One layer of one backbone.

    Attributes
    ----------
    path : the layer's folder.
    ids : item id of every row; None for a row that belongs to no item of the split.
    matrix : (N, D) float32, memory-mapped where the matrix lies on disk.
    manifest : what made the table; empty for a table made by Ducho.
    """

    path: Path
    ids: Sequence[str | None]
    matrix: np.ndarray
    manifest: dict[str, Any]

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Row number of every item id."""
        return {item: row for row, item in enumerate(self.ids) if item is not None}

    @property
    def dim(self) -> int:
        return int(self.matrix.shape[1])

    def gather(self, items: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the named items.

        Returns
        -------
        values : (len(items), D) float32; zero where the item has no row.
        present : (len(items),) bool; whether the item has a row.

        Raises
        ------
        UserError : a row holds NaN or infinity; the item is named.
        """
        rows = np.fromiter((self.row_of.get(item, -1) for item in items), dtype=np.int64, count=len(items))
        present = rows >= 0
        values = np.zeros((len(items), self.dim), dtype=np.float32)
        values[present] = self.matrix[rows[present]]
        bad = ~np.isfinite(values).all(axis=1)
        if bad.any():
            raise UserError(
                f"item {items[int(bad.argmax())]!r} has NaN or infinite features ({int(bad.sum())} items in all)",
                where=self.path,
                mend="extract that layer again",
            )
        return values, present


def read_manifest(table: Path) -> dict[str, Any] | None:
    """The manifest of a whole table, or None where there is none (no table, or one made by Ducho)."""
    path = manifest_path(table)
    if not path.is_file():
        return None
    manifest = read_json(path)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise UserError("not a feature manifest of this version", where=path, mend="extract that layer again")
    return manifest


def open_table(table: str | Path, verify: bool = True) -> FeatureTable:
    """Open a table by its layer folder.

    `verify` compares the matrix with the hash in its manifest, which reads it once.

    Raises
    ------
    UserError : no table there, one that was not finished, one whose parts disagree, or an indexed one whose source
        was extracted anew since.
    """
    table = Path(table)
    manifest = read_manifest(table)
    if manifest is not None:
        _check_source(table, manifest)
        if not matrix_path(table).is_file():
            return _without_matrix(table, manifest)
        matrix = _load_matrix(table, manifest)
        if verify and not matrix_intact(table, manifest):
            raise UserError(
                "the matrix is not the one that its manifest describes",
                where=matrix_path(table),
                mend="extract that layer again, then split again",
            )
        return FeatureTable(table, manifest["ids"], matrix, manifest)
    if matrix_path(table).exists():
        raise UserError("this table was not finished", where=table, mend="run the extraction again")
    if table.is_dir() and any(table.glob("*.npy")):
        return _read_folder(table)
    raise UserError("no feature table there", where=table, mend=_advice(table))


def matrix_intact(table: Path, manifest: dict[str, Any]) -> bool:
    """Whether the matrix on disk has the hash that the manifest gives."""
    return sha256_file(matrix_path(table)) == manifest.get("matrix_sha256")


def _load_matrix(table: Path, manifest: dict[str, Any]) -> np.ndarray:
    path = matrix_path(table)
    try:
        matrix = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise UserError(f"not readable: {error}", where=path, mend="extract that layer again") from error
    expected = (len(manifest["ids"]), manifest["dim"])
    if matrix.shape != expected:
        raise UserError(
            f"the matrix is {matrix.shape} and its manifest says {expected}",
            where=path,
            mend="extract that layer again",
        )
    return matrix


def _without_matrix(table: Path, manifest: dict[str, Any]) -> FeatureTable:
    """The per-item files, whose order is not that of the manifest's ids."""
    if not (table.is_dir() and any(table.glob("*.npy"))):
        raise UserError("the matrix is missing", where=matrix_path(table), mend="extract that layer again")
    folder = _read_folder(table)
    return FeatureTable(table, folder.ids, folder.matrix, manifest)


def _read_folder(table: Path) -> FeatureTable:
    files = sorted(path for path in table.glob("*.npy") if not path.name.startswith("."))
    rows: list[np.ndarray] = []
    for path in files:
        try:
            row = np.load(path, allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise UserError(f"not readable: {error}", where=path, mend="extract that item again") from error
        row = np.asarray(row, dtype=np.float32).reshape(-1)
        if rows and len(row) != len(rows[0]):
            raise UserError(
                f"{len(row)} values where the files before it have {len(rows[0])}",
                where=path,
                mend="remove it or extract it again",
            )
        rows.append(row)
    return FeatureTable(table, [unescape_name(path.name[: -len(".npy")]) for path in files], np.stack(rows), {})


def _check_source(table: Path, manifest: dict[str, Any]) -> None:
    if "indexed_from" not in manifest:
        return
    current = read_manifest((table.parent / manifest["indexed_from"]).resolve())
    index = table.parent / manifest.get("index_file", "")
    stale = None
    if current is not None and current["fingerprint"] != manifest["indexed_fingerprint"]:
        stale = "the features were extracted anew"
    elif index.is_file() and sha256_file(index) != manifest["index_sha256"]:
        stale = f"the items were numbered anew ({index.name})"
    if stale:
        raise UserError(
            f"stale: {stale} after this table was indexed",
            where=table,
            mend="run `python run_split.py` for this dataset again (the split stays, the tables are linked anew)",
        )


def _advice(table: Path) -> str:
    parent = table.parent
    while not parent.exists() and parent != parent.parent:
        parent = parent.parent
    found = (
        sorted(entry.name for entry in parent.iterdir() if not entry.name.startswith("."))[:6]
        if parent.is_dir()
        else []
    )
    return f"in {parent} there are: {', '.join(found) or 'no entries'}; extract, then split, then run"
