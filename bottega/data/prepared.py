"""A split data folder, read for an export: parts, numbers of users and items, one table a modality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from loguru import logger

from benchmark.data.formats.layout import Layout
from benchmark.data.interactions import Interactions, read_interactions
from benchmark.data.raw_ids import ITEMS_MAP, USERS_MAP, read_numbers
from benchmark.prepare.layout import INPUTS, PARTS
from bottega.data.names import OUTPUTS
from workbench.errors import UserError
from workbench.features import FeatureTable, find_tables, open_table


@dataclass(frozen=True)
class Prepared:
    """What an export writes.

    Attributes
    ----------
    folder : `data/<name>`.
    parts : `train`, `val`, `test` under raw ids.
    users, items : number by raw id, from 0 without gaps.
    tables : `visual`, `textual`, `audio` -> the table under raw ids, as far as there are such.
    """

    folder: Path
    parts: dict[str, Interactions]
    users: dict[str, int]
    items: dict[str, int]
    tables: dict[str, FeatureTable]

    @property
    def name(self) -> str:
        """Name of the data set."""
        return self.folder.name

    def numbers(self, part: Interactions) -> tuple[np.ndarray, np.ndarray]:
        """(T,) int64 user numbers and item numbers of the rows of a part."""
        users = np.array([self.users[raw] for raw in part.user_ids], dtype=np.int64)
        items = np.array([self.items[raw] for raw in part.item_ids], dtype=np.int64)
        return users[part.users], items[part.items]

    def features(self, modality: str) -> tuple[np.ndarray, np.ndarray]:
        """(I, D) float32 in the order of the item numbers, and (I,) bool: whether the item has a row."""
        return self.tables[modality].gather(list(self.items))


def read_prepared(folder: Path, given: Mapping[str, Path | None], refuse_missing: bool) -> Prepared:
    """Read `data/<name>` as `run_split.py` left it.

    Parameters
    ----------
    given : the table of each modality that the user names.
    refuse_missing : refuse a table in which an item has no row.

    Raises
    ------
    UserError : no such split, several tables of a modality and none named, or a table that fits no item.
    """
    for name in (*(f"{part}.tsv" for part in PARTS), USERS_MAP, ITEMS_MAP):
        if not (folder / name).is_file():
            raise UserError(
                f"no {name} there", where=folder, mend=f"run `python run_split.py --dataset {folder.name}` first"
            )
    shown = [f"{name}.tsv" for name in INPUTS if (folder / f"{name}.tsv").is_file()]
    if shown:
        raise UserError(
            f"this split holds whole users out ({', '.join(shown)}), which no other framework's files can say",
            where=folder,
            mend="export a split in which every user has training rows",
        )
    layout = Layout(format="tsv")
    parts = {name: read_interactions(folder / f"{name}.tsv", "error", layout) for name in PARTS}
    users, items = read_numbers(folder / USERS_MAP), read_numbers(folder / ITEMS_MAP)
    for column, index in (("user", users), ("item", items)):
        used = {raw for part in parts.values() for raw in (part.user_ids if column == "user" else part.item_ids)}
        if used - set(index) or list(index.values()) != list(range(len(index))):
            raise UserError(
                f"the map of {column}s is not that of this split",
                where=folder,
                mend=f"run `python run_split.py --dataset {folder.name}` again",
            )
    tables = _tables(folder, given)
    for modality, table in tables.items():
        _check_coverage(modality, table, list(items), refuse_missing)
    return Prepared(folder, parts, users, items, tables)


def _tables(folder: Path, given: Mapping[str, Path | None]) -> dict[str, FeatureTable]:
    chosen: dict[str, FeatureTable] = {}
    for modality, output in OUTPUTS.items():
        named = given.get(modality)
        if named is not None:
            chosen[modality] = _open_raw(named)
            continue
        folders = sorted(path for path in folder.glob(f"{output}*") if path.is_dir() and "_indexed" not in path.name)
        found = [table for place in folders for table in find_tables(place)]
        if len(found) > 1:
            raise UserError(
                f"{len(found)} {modality} tables: {', '.join(map(str, found))}",
                where=folder,
                mend=f"choose one with --{modality}",
            )
        if found:
            chosen[modality] = open_table(found[0])
    return chosen


def _open_raw(path: Path) -> FeatureTable:
    """A table under raw ids: the numbers of a twin would be taken for raw ids wherever those are numbers, too."""
    table = open_table(path)
    if "indexed_from" in table.manifest or any("_indexed" in part for part in path.parts):
        raise UserError("this is an indexed twin", where=path, mend="name the table that it was made from")
    return table


def _check_coverage(modality: str, table: FeatureTable, items: list[str], refuse_missing: bool) -> None:
    missing = [item for item in items if item not in table.row_of]
    if len(missing) == len(items):
        raise UserError(
            f"none of the {len(items)} items has a row in this table",
            where=table.path,
            mend="name a table of this data set",
        )
    if missing and refuse_missing:
        raise UserError(
            f"{len(missing)} of {len(items)} items have no {modality} features, among them {missing[0]!r}",
            where=table.path,
            mend="extract them, or leave out --refuse-missing",
        )
    if missing:
        logger.warning("{}: {} of {} items have no {} features", table.path, len(missing), len(items), modality)
