"""Integer ids: users and items numbered in the order in which they first stand in the parts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmark.data.interactions import Interactions
from benchmark.data.raw_ids import ITEMS_MAP, USERS_MAP
from benchmark.prepare.layout import indexed
from benchmark.prepare.parts import write_parts
from workbench.arrays import number_ids
from workbench.files import write_text


def number_users(parts: Mapping[str, Interactions]) -> dict[str, int]:
    """Number of every user, by first appearance."""
    return number_ids((part.user_ids, part.users) for part in parts.values())


def number_items(parts: Mapping[str, Interactions]) -> dict[str, int]:
    """Number of every item, by first appearance."""
    return number_ids((part.item_ids, part.items) for part in parts.values())


def write_twins(
    folder: Path, parts: Mapping[str, Interactions], users: Mapping[str, int], items: Mapping[str, int]
) -> None:
    """Write every part under integer ids, and the maps from raw id to number."""

    def numbers(part: Interactions) -> tuple[np.ndarray, np.ndarray]:
        return _numbers(users, part.user_ids)[part.users], _numbers(items, part.item_ids)[part.items]

    write_parts(folder, {indexed(stem): part for stem, part in parts.items()}, numbers)
    for name, index in ((USERS_MAP, users), (ITEMS_MAP, items)):
        write_text(folder / name, "".join(f"{raw}\t{number}\n" for raw, number in index.items()))


def _numbers(index: Mapping[str, int], ids: np.ndarray) -> np.ndarray:
    """Number of each id; -1 for one that a prefilter or recipe left without rows."""
    return np.array([index.get(identifier, -1) for identifier in ids], dtype=np.int64)
