"""MMRec's data folder: one labelled table, one matrix a modality, and the maps back to the raw ids.

<ds>.inter          userID itemID rating timestamp x_label; tabs (LMM4Rec: commas); x_label 0, 1, 2 = train, valid, test
<name>_feat.npy     (I, D), row = itemID
u_id_mapping.csv    raw id and userID, separated by tabs in spite of the name
i_id_mapping.csv    raw id and itemID
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from loguru import logger

from benchmark.data.formats.layout import Layout
from benchmark.data.formats.rows import Rows, Texts
from benchmark.data.formats.text import check_file, first_line, open_bytes
from benchmark.data.interactions import (
    Duplicates,
    Interactions,
    announce,
    interactions_of,
    read_rows,
    resolve_duplicates,
)
from benchmark.data.modalities.sources import Matrix, open_source
from benchmark.data.splitters import Parts
from workbench.errors import UserError
from workbench.features import FeatureTable

LABELS = {"train": "0", "validation": "1", "test": "2"}
USER_MAP, ITEM_MAP = "u_id_mapping.csv", "i_id_mapping.csv"


def read_labelled(path: str | Path, duplicates: Duplicates = "error") -> Parts:
    """A split from the column `x_label`, under the raw ids where the maps lie beside the table.

    Parameters
    ----------
    path : the `.inter` file, or a folder that holds exactly one.
    duplicates : what to do with a pair that stands twice in one part.

    Raises
    ------
    UserError : no such table, no label or an unknown one, an id that the map does not know, or an empty part.
    """
    path = inter_file(Path(path))
    rows = _read(path)
    if rows.labels is None:
        raise UserError(
            "no column x_label: nothing says which rows are training, validation and test",
            where=f"{path}:1",
            mend="read the file as `strategy: dataset` with a `splitting` block",
        )
    _check_labels(rows, path)
    data = interactions_of(rows, path)
    labels = rows.labels
    assert labels is not None
    parts = {}
    for name, label in LABELS.items():
        places = np.flatnonzero((labels.values == label)[labels.codes])
        if len(places) == 0:
            if name != "validation":
                raise UserError(f"no row has the x_label {label} ({name})", where=path, mend="mend the column x_label")
            continue
        parts[name], repeated = resolve_duplicates(data.select(places), rows, duplicates, path, places)
        announce(f"{path} ({name})", parts[name], repeated, duplicates)
    return Parts(parts["train"], parts.get("validation"), parts["test"])


def read_unlabelled(path: str | Path, duplicates: Duplicates = "error") -> Interactions:
    """All rows of a `.inter` file (or of the only one of a folder) as one table, under the raw ids."""
    path = inter_file(Path(path))
    rows = _read(path)
    data, repeated = resolve_duplicates(interactions_of(rows, path), rows, duplicates, path)
    announce(path, data, repeated, duplicates)
    return data


def labelled(path: Path) -> bool:
    """Whether a `.inter` file has the column x_label."""
    return "x_label" in first_line(path).replace(",", "\t").split("\t")


def inter_file(path: Path) -> Path:
    """The `.inter` file itself, or the only one of a folder."""
    if not path.is_dir():
        return path
    found = sorted(path.glob("*.inter"))
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "none"
        raise UserError(f"one .inter file is expected there, found: {names}", where=path, mend="name the file")
    return found[0]


def read_map(path: Path, index: str) -> dict[str, str] | None:
    """Raw id by integer id (as text); None where there is no map.

    Raises
    ------
    UserError : no column called `index` beside a second one, an empty cell, or an id that stands twice.
    """
    if not path.is_file():
        return None
    check_file(path)
    with open_bytes(path) as stream:
        lines = stream.read().decode("utf-8-sig").replace("\r\n", "\n").split("\n")
    separator = "\t" if "\t" in lines[0] else ","
    header = lines[0].split(separator)
    if len(header) != 2 or index not in header:
        raise UserError(
            f"the header is {lines[0]!r} where the raw id and {index} are expected", where=f"{path}:1", mend="mend it"
        )
    place = header.index(index)
    known: dict[str, str] = {}
    raw: set[str] = set()
    for number, line in enumerate(lines[1:], start=2):
        if not line:
            continue
        cells = line.split(separator)
        if len(cells) != 2 or not all(cells):
            raise UserError("two ids are expected in a line", where=f"{path}:{number}", mend="mend the line")
        if cells[place] in known or cells[1 - place] in raw:
            raise UserError("an id stands twice", where=f"{path}:{number}", mend="remove one of the lines")
        known[cells[place]] = cells[1 - place]
        raw.add(cells[1 - place])
    return known


def open_features(path: Path) -> Matrix | None:
    """A matrix of the folder by raw item id, row n that of the item n of the map; None where there is no map.

    Raises
    ------
    UserError : no plain matrix of floats, or a map that cannot be read.
    """
    raw = read_map(path.parent / ITEM_MAP, "itemID")
    if raw is None:
        return None
    matrix = open_source(path).table.matrix
    return Matrix(FeatureTable(path, [raw.get(str(row)) for row in range(len(matrix))], matrix, {}), numbered=False)


def read_features(folder: Path) -> dict[str, np.ndarray]:
    """Every `<name>_feat.npy` of a folder by its name (`image`, `text`, ...): (I, D) float32, row = itemID.

    Raises
    ------
    UserError : no plain matrix of numbers (pickles are never opened).
    """
    found = {}
    for path in sorted(folder.glob("*_feat.npy")):
        try:
            matrix = np.load(path, allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise UserError(
                f"not readable as a matrix: {error}", where=path, mend="save it as plain numbers"
            ) from error
        if matrix.ndim != 2 or matrix.dtype.kind not in "fiu":
            raise UserError(
                f"a matrix (items, D) of numbers is expected, found {matrix.shape} of {matrix.dtype}",
                where=path,
                mend="save one row an item",
            )
        found[path.name.removesuffix("_feat.npy")] = np.asarray(matrix, dtype=np.float32)
    return found


def _read(path: Path) -> Rows:
    rows = _without_empty_times(read_rows(path, Layout(format="mmrec")), path)
    return replace(
        rows,
        users=_restored(rows.users, read_map(path.parent / USER_MAP, "userID"), USER_MAP, path),
        items=_restored(rows.items, read_map(path.parent / ITEM_MAP, "itemID"), ITEM_MAP, path),
    )


def _check_labels(rows: Rows, path: Path) -> None:
    assert rows.labels is not None
    wrong = ~np.isin(rows.labels.values.astype(str), list(LABELS.values()))[rows.labels.codes]
    if wrong.any():
        row = int(wrong.argmax())
        found = rows.labels.values[rows.labels.codes[row]]
        raise UserError(
            f"the x_label {found!r} is none of 0 (train), 1 (valid), 2 (test) ({int(wrong.sum())} such rows in all)",
            where=f"{path}:{rows.line(row)}",
            mend="mend the row",
        )


def _without_empty_times(rows: Rows, path: Path) -> Rows:
    """Tables without times have 0 everywhere, since MMRec's loader may ask for the column."""
    times = rows.timestamps
    values = pd.to_numeric(times.values, errors="coerce") if isinstance(times, Texts) else times
    if values is None or (np.asarray(values) != 0).any():
        return rows
    logger.info("{}: every timestamp is 0: read as a table without times", path)
    return replace(rows, timestamps=None)


def _restored(texts: Texts, raw: dict[str, str] | None, name: str, path: Path) -> Texts:
    if raw is None:
        return texts
    unknown = [value for value in texts.values if value not in raw]
    if unknown:
        raise UserError(
            f"{len(unknown)} ids of {path.name} are not in the map, among them {unknown[0]!r}",
            where=path.parent / name,
            mend="complete the map, or remove it to keep the integer ids",
        )
    values = np.empty(len(texts.values), dtype=object)
    values[:] = [raw[value] for value in texts.values]
    return Texts(texts.codes, values)
