"""What an import brings: interactions, and what is known of the items."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from loguru import logger

from benchmark.data.formats import mmrec, recbole, recom_data
from benchmark.data.formats.layout import Layout
from benchmark.data.interactions import Duplicates, Interactions, read_interactions
from benchmark.data.splitters import Parts
from bottega.data.names import OUTPUTS, modality_of
from workbench.errors import UserError
from workbench.files import read_json


@dataclass(frozen=True)
class Vectors:
    """Features that become the table `<output>/<table>`.

    Attributes
    ----------
    output, table : `visual_embeddings`, `mmrec/image_feat/1`.
    ids : raw item ids.
    rows : (len(ids), D) float32.
    """

    output: str
    table: str
    ids: list[str]
    rows: np.ndarray


@dataclass(frozen=True)
class Bundle:
    """Everything that was found, under raw ids.

    Attributes
    ----------
    source : the form it came in, kept in the manifests of its tables.
    interactions : a ready split, or all rows in one table.
    vectors : features.
    texts : item ids and columns of an item table, or None.
    """

    source: dict[str, Any]
    interactions: Parts | Interactions
    vectors: list[Vectors] = field(default_factory=list)
    texts: tuple[list[str], dict[str, list[str]]] | None = None


def read_bundle(form: str, path: Path, duplicates: Duplicates, layout: Layout) -> Bundle:
    """Read a data set: a folder in the form of a framework, or one table.

    Raises
    ------
    UserError : nothing of that form there, or something in it that cannot be read.
    """
    if not path.exists():
        raise UserError("no such file or folder", where=path, mend="check the path")
    if form == "mmrec":
        return _mmrec(path, duplicates)
    if form == "recbole":
        return _recbole(path, duplicates, layout)
    if form == "recom_data":
        return _recom_data(path)
    if form == "elliot":
        from bottega.data.elliot_folder import read_elliot

        return read_elliot(path, duplicates)
    source = {"from": form, "path": str(path)}
    if path.is_dir():
        return Bundle(source, _folder_of_parts(path, duplicates, layout))
    return Bundle(source, read_interactions(path, duplicates, layout))


def _folder_of_parts(folder: Path, duplicates: Duplicates, layout: Layout) -> Parts:
    """`train`, `test` and perhaps `valid` or `val`, with any suffix."""
    found: dict[str, Path] = {}
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        stem = path.name.split(".")[0]
        part = {"train": "train", "test": "test", "valid": "valid", "val": "valid", "validation": "valid"}.get(stem)
        if part is not None and part in found:
            raise UserError(f"two files for one part: {found[part].name}, {path.name}", where=folder, mend="remove one")
        if part is not None:
            found[part] = path
    if not {"train", "test"} <= set(found):
        raise UserError(
            "no train and test file in this folder", where=folder, mend="name one table, or a folder with both"
        )
    read = {part: read_interactions(path, duplicates, layout) for part, path in found.items()}
    return Parts(read["train"], read.get("valid"), read["test"])


def _mmrec(path: Path, duplicates: Duplicates) -> Bundle:
    table = mmrec.inter_file(path)
    read = mmrec.read_labelled if mmrec.labelled(table) else mmrec.read_unlabelled
    interactions = read(table, duplicates)
    known = mmrec.read_map(table.parent / mmrec.ITEM_MAP, "itemID")
    vectors = []
    for name, matrix in mmrec.read_features(table.parent).items():
        where = table.parent / f"{name}_feat.npy"
        if known is not None and not all(str(row) in known for row in range(len(matrix))):
            raise UserError(
                f"{len(matrix)} rows and {len(known)} ids in {mmrec.ITEM_MAP}", where=where, mend="complete the map"
            )
        filled = _filled(table.parent / f"{name}_feat_missing.json")
        rows = [row for row in range(len(matrix)) if row not in filled]
        ids = [known[str(row)] if known is not None else str(row) for row in rows]
        vectors += _as_vectors("mmrec", f"{name}_feat", ids, matrix[rows], where)
    return Bundle({"from": "mmrec", "path": str(path)}, interactions, vectors)


def _recom_data(folder: Path) -> Bundle:
    """A pair that stands twice counts once, whatever `--duplicates` says: rows have nothing else to choose by."""
    parts = recom_data.read_recom_data(folder)
    vectors = []
    for name in recom_data.MATRICES.values():
        if recom_data.is_blank(folder / name):
            continue
        rows = recom_data.open_features(folder / name)
        items = list(rows.table.row_of)
        vectors += _as_vectors(
            "recom_data", name.removeprefix("embed_").removesuffix(".npy"), items, rows.gather(items)[0], folder / name
        )
    return Bundle({"from": "recom_data", "path": str(folder)}, parts, vectors)


def _recbole(path: Path, duplicates: Duplicates, layout: Layout) -> Bundle:
    folder = path if path.is_dir() else path.parent
    if path.is_dir() and any(path.glob("*.train.inter")):
        interactions: Parts | Interactions = recbole.read_split(path, duplicates, layout.columns)
    else:
        interactions = read_interactions(mmrec.inter_file(path), duplicates, layout)
    found = sorted(folder.glob("*.item"))
    if len(found) > 1:
        raise UserError(
            f"several .item files: {', '.join(file.name for file in found)}", where=folder, mend="leave one there"
        )
    source = {"from": "recbole", "path": str(path)}
    if not found:
        return Bundle(source, interactions)
    table = recbole.read_item_table(found[0])
    vectors = [
        each
        for name, (ids, rows) in table.vectors.items()
        if len(ids)
        for each in _as_vectors("recbole", name, ids, rows, found[0])
    ]
    return Bundle(source, interactions, vectors, (table.ids, table.texts) if table.texts else None)


def _as_vectors(form: str, name: str, ids: list[str], rows: np.ndarray, where: Path) -> list[Vectors]:
    modality = modality_of(name)
    if modality is None:
        logger.warning("{}: {} is left out: its name tells no modality (image, text, audio)", where, name)
        return []
    bad = ~np.isfinite(rows).all(axis=1)
    if bad.any():
        raise UserError(
            f"the features {name} of item {ids[int(bad.argmax())]!r} hold NaN or infinity ({int(bad.sum())} items)",
            where=where,
            mend="mend or remove them",
        )
    return [Vectors(OUTPUTS[modality], f"{form}/{name}/1", ids, rows)]


def _filled(path: Path) -> set[int]:
    """Rows that an export has filled, which are missing in truth."""
    if not path.is_file():
        return set()
    record = read_json(path)
    if not isinstance(record, dict) or not all(isinstance(row, int) for row in record.get("rows", [None])):
        raise UserError("not a list of filled rows", where=path, mend="remove it, and every row counts")
    return set(record["rows"])
