"""A data folder in Elliot's form: parts under integers, maps back to raw ids, indexed feature folders."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmark.data.formats.elliot import read_hierarchy
from benchmark.data.formats.layout import Layout
from benchmark.data.interactions import Duplicates, Interactions, read_interactions
from benchmark.data.raw_ids import ITEMS_MAP, USERS_MAP, read_numbers
from benchmark.data.splitters import Parts
from bottega.data.bundle import Bundle, Vectors
from workbench.errors import UserError
from workbench.features import find_tables, open_table

_INDEXED = re.compile(r"(.+)_indexed(_\d+)?")


def read_elliot(folder: Path, duplicates: Duplicates) -> Bundle:
    """Read `{train,val,test}.tsv`, or a tree with one fold, under the raw ids of `users_map.tsv` and `items_map.tsv`.

    A folder with `data/<name>` in it, as an export makes, stands for the only one there.

    Tables are those of folders called `*_indexed*` where there are maps, of every folder where there are none. Where
    `train_indexed.tsv` stands beside it, `train.tsv` has the raw ids, and so have the folders that are not indexed.

    Raises
    ------
    UserError : no such parts, several folds, or an id that a map does not know.
    """
    folder = _data_folder(folder)
    raw = (folder / "train_indexed.tsv").is_file()
    users, items = (None if raw else _raw_ids(folder / name) for name in (USERS_MAP, ITEMS_MAP))
    given = _parts(folder, duplicates)
    parts = Parts(
        _renamed(given.train, users, items, folder),
        None if given.validation is None else _renamed(given.validation, users, items, folder),
        _renamed(given.test, users, items, folder),
    )
    vectors = []
    for output in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        match = _INDEXED.fullmatch(output.name)
        if (match is None and items is not None) or (match is not None and raw):
            continue
        name = output.name if match is None else f"{match[1]}{match[2] or ''}"
        for path in find_tables(output):
            table = open_table(path)
            rows = [row for row, number in enumerate(table.ids) if number is not None]
            numbers = [str(table.ids[row]) for row in rows]
            ids = numbers if items is None else _looked_up(np.array(numbers, dtype=object), items, path).tolist()
            vectors.append(Vectors(name, str(path.relative_to(output)), ids, np.asarray(table.matrix[rows])))
    return Bundle({"from": "elliot", "path": str(folder)}, parts, vectors)


def _data_folder(given: Path) -> Path:
    if not given.is_dir():
        raise UserError("Elliot's parts lie in a folder", where=given, mend="name the folder with train.tsv")
    inner = sorted(path.parent for path in given.glob("data/*/train.tsv"))
    if (given / "train.tsv").is_file() or not inner:
        return given
    if len(inner) > 1:
        names = ", ".join(map(str, inner))
        raise UserError(f"{len(inner)} data folders lie in data/", where=given, mend=f"name one of them: {names}")
    return inner[0]


def _parts(folder: Path, duplicates: Duplicates) -> Parts:
    if not (folder / "train.tsv").is_file():
        folds = read_hierarchy(folder, duplicates)
        if len(folds) > 1 or len(folds[0]) > 1:
            raise UserError(
                f"{len(folds)} test folds where a data folder holds one split",
                where=folder,
                mend="use the tree as it is: `strategy: hierarchy` with `root_folder`",
            )
        return folds[0][0]
    layout = Layout(format="tsv")
    train, test = (read_interactions(folder / f"{name}.tsv", duplicates, layout) for name in ("train", "test"))
    val = folder / "val.tsv"
    return Parts(train, read_interactions(val, duplicates, layout) if val.is_file() else None, test)


def _raw_ids(path: Path) -> dict[str, str] | None:
    return {str(number): raw for raw, number in read_numbers(path).items()} if path.is_file() else None


def _renamed(
    part: Interactions, users: dict[str, str] | None, items: dict[str, str] | None, folder: Path
) -> Interactions:
    """The part under raw ids, which are sorted anew."""
    if users is not None:
        ids = _looked_up(part.user_ids, users, folder / USERS_MAP)
        order = np.argsort(ids, kind="stable")
        part = replace(part, users=np.argsort(order)[part.users], user_ids=ids[order])
    if items is not None:
        ids = _looked_up(part.item_ids, items, folder / ITEMS_MAP)
        order = np.argsort(ids, kind="stable")
        part = replace(part, items=np.argsort(order)[part.items], item_ids=ids[order])
    return part


def _looked_up(numbers: np.ndarray, raw: dict[str, str], where: Path) -> np.ndarray:
    unknown = [number for number in numbers if number not in raw]
    if unknown:
        raise UserError(
            f"{len(unknown)} numbers are in no map, among them {unknown[0]!r}", where=where, mend="complete the maps"
        )
    found = np.empty(len(numbers), dtype=object)
    found[:] = [raw[number] for number in numbers]
    return found
