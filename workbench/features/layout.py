"""Where the parts of a feature table lie."""

from __future__ import annotations

import shutil
from pathlib import Path

FORMAT = "bottega.features/1"


def matrix_path(table: Path) -> Path:
    """`<layer>.npy` beside the layer's folder (layer names contain dots, so no `with_suffix`)."""
    return table.with_name(table.name + ".npy")


def manifest_path(table: Path) -> Path:
    """`<layer>.json` beside the layer's folder."""
    return table.with_name(table.name + ".json")


def find_tables(output: Path) -> list[Path]:
    """Layer folders of every table below an output folder, sorted; with or without manifest and per-item files."""
    manifests = {
        path.with_name(path.name[: -len(".json")]) for path in output.rglob("*.json") if _visible(path, output)
    }
    manifests = {table for table in manifests if matrix_path(table).is_file() or table.is_dir()}
    folders = {path.parent for path in output.rglob("*.npy") if _visible(path, output)}
    bare = {folder for folder in folders if not any(folder == table.parent for table in manifests)}
    return sorted(manifests | bare)


def remove_table(table: Path) -> None:
    """Remove manifest, matrix and per-item files, the manifest first: a kill leaves nothing that looks whole."""
    manifest_path(table).unlink(missing_ok=True)
    matrix_path(table).unlink(missing_ok=True)
    if table.is_dir():
        shutil.rmtree(table)


def _visible(path: Path, root: Path) -> bool:
    return not any(part.startswith(".") for part in path.relative_to(root).parts)
