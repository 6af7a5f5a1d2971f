"""Are the rows of a table sound? Everything in blocks of rows, so memory does not grow with the table."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from workbench.errors import UserError
from workbench.features import FeatureTable, matrix_intact, matrix_path, open_table
from workbench.files import escape_id

_BLOCK = 4096


def describe(table: FeatureTable) -> list[tuple[str, str]]:
    """What there is to know about a table's numbers, as (property, value)."""
    norms, broken, digests = [], 0, Counter[bytes]()
    total, squares = np.zeros(table.dim), np.zeros(table.dim)
    for block in _blocks(table):
        finite = np.isfinite(block).all(axis=1)
        broken += int((~finite).sum())
        values = block[finite].astype(np.float64)
        norms.append(np.linalg.norm(values, axis=1))
        total += values.sum(axis=0)
        squares += np.square(values).sum(axis=0)
        digests.update(hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in block)
    lengths = np.concatenate(norms)
    count = max(len(lengths), 1)
    spread = np.sqrt(np.maximum(squares / count - np.square(total / count), 0))
    quantiles = np.quantile(lengths, [0, 0.25, 0.5, 0.75, 1]) if len(lengths) else np.full(5, np.nan)
    return [
        ("items", f"{len(table.row_of):,} of {len(table.ids):,} rows"),
        ("dimension", str(table.dim)),
        ("norm: min, quartiles, max", " ".join(f"{value:.4g}" for value in quantiles)),
        ("zero rows", str(int((lengths == 0).sum()))),
        ("rows with NaN or infinity", str(broken)),
        ("rows that repeat another", str(sum(times - 1 for times in digests.values()))),
        ("constant dimensions", str(int((spread <= 1e-12).sum()))),
        ("standard deviation of a dimension: median, max", f"{np.median(spread):.4g} {spread.max():.4g}"),
        ("quarantined", str(len(table.manifest.get("quarantined", [])))),
    ]


def faults(path: Path) -> list[str]:
    """What is wrong with a table; empty if it is sound."""
    try:
        table = open_table(path, verify=False)
    except UserError as error:
        return [error.what]
    found = []
    if table.manifest and matrix_path(path).is_file() and not matrix_intact(path, table.manifest):
        found.append("the matrix is not the one that its manifest describes")
    broken = sum(int((~np.isfinite(block).all(axis=1)).sum()) for block in _blocks(table))
    if broken:
        found.append(f"{broken} rows with NaN or infinity")
    if table.manifest and path.is_dir():
        differing = [item for item, row in table.row_of.items() if not _same(path, item, table.matrix[row])]
        if differing:
            found.append(
                f"{len(differing)} per-item files are missing or differ from the matrix, first {differing[0]!r}"
            )
    return found


def _same(path: Path, item: str, row: np.ndarray) -> bool:
    try:
        return bool(np.array_equal(np.load(path / f"{escape_id(item)}.npy", allow_pickle=False).reshape(-1), row))
    except (OSError, ValueError, EOFError):
        return False


def _blocks(table: FeatureTable) -> Iterator[np.ndarray]:
    for start in range(0, len(table.ids), _BLOCK):
        yield np.asarray(table.matrix[start : start + _BLOCK])
