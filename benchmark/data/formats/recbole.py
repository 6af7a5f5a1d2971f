"""RecBole's atomic files: tables whose header names a type for each column.

<ds>.inter                                    all interactions, or a ready split:
<ds>.train.inter  <ds>.valid.inter  <ds>.test.inter
<ds>.item                                     item_id:token and what is known of items: texts, float_seq vectors
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.data.formats.layout import Columns, Layout, is_recbole_header
from benchmark.data.formats.text import check_file, open_bytes
from benchmark.data.interactions import Duplicates, read_interactions
from benchmark.data.splitters import Parts
from workbench.errors import UserError


@dataclass(frozen=True)
class ItemTable:
    """A `.item` file.

    Attributes
    ----------
    ids : item ids in file order.
    texts : columns of type token, token_seq or float by name, one text an item.
    vectors : columns of type float_seq by name: the ids that have one, and their rows (N, D) float32.
    """

    ids: list[str]
    texts: dict[str, list[str]]
    vectors: dict[str, tuple[list[str], np.ndarray]]


def read_split(folder: str | Path, duplicates: Duplicates = "error", columns: Columns | None = None) -> Parts:
    """A ready split, `<ds>.train.inter`, `<ds>.test.inter` and, where there is one, `<ds>.valid.inter`.

    Raises
    ------
    UserError : not exactly one train file, or no test file beside it.
    """
    folder = Path(folder)
    found = sorted(folder.glob("*.train.inter")) if folder.is_dir() else []
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise UserError(f"one <ds>.train.inter is expected there, found: {names}", where=folder, mend="see the path")
    name = found[0].name.removesuffix(".train.inter")
    layout = Layout("recbole", columns)
    train, test = (read_interactions(folder / f"{name}.{part}.inter", duplicates, layout) for part in ("train", "test"))
    valid = folder / f"{name}.valid.inter"
    return Parts(train, read_interactions(valid, duplicates, layout) if valid.is_file() else None, test)


def read_item_table(path: Path, key: str = "item_id") -> ItemTable:
    """Read a `.item` file.

    Raises
    ------
    UserError : no typed header with `key`, a row of another length, an item that stands twice, or a broken vector.
    """
    check_file(path)
    with open_bytes(path) as stream:
        lines = stream.read().decode("utf-8-sig").replace("\r\n", "\n").split("\n")
    if not is_recbole_header(lines[0]):
        raise UserError(
            "no typed header: RecBole's is like item_id:token<tab>title:token_seq", where=f"{path}:1", mend="add it"
        )
    typed = [cell.rpartition(":") for cell in lines[0].split("\t")]
    names = [name for name, _, _ in typed]
    if key not in names:
        raise UserError(f"no column {key!r} in the header", where=f"{path}:1", mend=f"there are: {', '.join(names)}")
    numbered = [(number, line.split("\t")) for number, line in enumerate(lines[1:], start=2) if line]
    for number, cells in numbered:
        if len(cells) != len(names):
            raise UserError(
                f"{len(cells)} columns where the header has {len(names)}", where=f"{path}:{number}", mend="mend it"
            )
    place = names.index(key)
    ids = [cells[place] for _, cells in numbered]
    if len(set(ids)) < len(ids):
        first = {item: row for row, item in reversed(list(enumerate(ids)))}
        again = next(row for row, item in enumerate(ids) if first[item] < row)
        raise UserError(
            f"the item {ids[again]!r} stands twice", where=f"{path}:{numbered[again][0]}", mend="remove one"
        )
    table = ItemTable(ids, {}, {})
    for column, (name, _, kind) in enumerate(typed):
        if kind == "float_seq":
            table.vectors[name] = _vectors(path, numbered, column, place)
        elif column != place:
            table.texts[name] = [cells[column] for _, cells in numbered]
    return table


def _vectors(path: Path, numbered: list[tuple[int, list[str]]], column: int, key: int) -> tuple[list[str], np.ndarray]:
    ids: list[str] = []
    rows: list[np.ndarray] = []
    for number, cells in numbered:
        if not cells[column].strip():
            continue  # an item without features
        try:
            row = np.array(cells[column].split(), dtype=np.float32)
        except ValueError as error:
            raise UserError(
                f"no numbers separated by blanks: {error}", where=f"{path}:{number}", mend="mend it"
            ) from None
        if rows and len(row) != len(rows[0]):
            raise UserError(
                f"{len(row)} values where the items before it have {len(rows[0])}",
                where=f"{path}:{number}",
                mend="mend the vector",
            )
        ids.append(cells[key])
        rows.append(row)
    return ids, np.stack(rows) if rows else np.empty((0, 0), dtype=np.float32)
