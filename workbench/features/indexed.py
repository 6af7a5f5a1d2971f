"""Feature tables under the integer ids of a split, without a second copy on disk."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from workbench.features.layout import manifest_path, matrix_path, remove_table
from workbench.features.reader import FeatureTable
from workbench.files import atomic_folder, escape_id, link_or_copy, sha256_file, write_json


def indexed_output(output: str) -> str:
    """Name of the indexed twin of an output folder: `visual_embeddings_32` -> `visual_embeddings_indexed_32`."""
    match = re.fullmatch(r"(.+?)(_\d+)?", output)
    assert match is not None
    return f"{match[1]}_indexed{match[2] or ''}"


def write_indexed(source: FeatureTable, target: Path, index: Mapping[str, int], index_file: Path | None = None) -> int:
    """Write the twin of `source` whose item ids are the integers of `index`; returns the number of items in it.

    The matrix and the per-item files are hard links (copies where the file system has none). The rows of the matrix
    keep their place; the manifest's ids name the new index of each row, None for an item that is not in the split.
    `index_file` holds the index on disk: once it changes, the twin is refused as stale.
    """
    ids = [None if item is None or item not in index else str(index[item]) for item in source.ids]
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_table(target)
    if source.path.is_dir():
        with atomic_folder(target) as folder:
            for item, new in zip(source.ids, ids, strict=True):
                if item is not None and new is not None:
                    link_or_copy(_item_file(source.path, item), folder / f"{new}.npy")
    if source.manifest:
        if matrix_path(source.path).is_file():
            link_or_copy(matrix_path(source.path), matrix_path(target))
        manifest = {
            **{key: value for key, value in source.manifest.items() if key not in ("ids", "items", "quarantined")},
            "indexed_from": os.path.relpath(source.path, target.parent),
            "indexed_fingerprint": source.manifest["fingerprint"],
            "items": sum(new is not None for new in ids),
            "ids": ids,
        }
        if index_file is not None:
            manifest["index_file"] = os.path.relpath(index_file, target.parent)
            manifest["index_sha256"] = sha256_file(index_file)
        write_json(manifest_path(target), manifest)
    return sum(new is not None for new in ids)


def _item_file(table: Path, item: str) -> Path:
    escaped = table / f"{escape_id(item)}.npy"
    return escaped if escaped.exists() else table / f"{item}.npy"
