"""Helpers that tests of several floors call."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from workbench.features import TableWriter

ROOT = Path(__file__).resolve().parents[1]
REAL_DATA = ROOT.parent / "shared" / "data"
HANDS_ON = ROOT.parent / "shared" / "reference" / "hands_on"


def write_table(
    table: Path,
    ids: Sequence[str],
    rows: np.ndarray,
    order: Sequence[int] | None = None,
    batch: int = 7,
    per_item: bool = True,
    **manifest: Any,
) -> dict[str, Any]:
    """A feature table of `rows` (N, D); only the rows in `order` are written, `batch` at a time."""
    order = list(range(len(ids))) if order is None else list(order)
    with TableWriter(table, ids, per_item) as writer:
        for start in range(0, len(order), batch):
            places = order[start : start + batch]
            writer.write(places, rows[places])
        return writer.commit(manifest)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too: relative path -> content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def launch(script: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a launcher of the repository in another folder."""
    command = [sys.executable, str(ROOT / script), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
