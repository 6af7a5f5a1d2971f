"""The steps of `run_split.py`, in order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from benchmark.config import read_split_config
from benchmark.prepare.numbering import ITEMS_MAP, number_items, number_users, write_twins
from benchmark.prepare.parts import find_or_make, record_twins
from benchmark.prepare.report import announce
from workbench.errors import UserError
from workbench.features import FeatureTable, find_tables, indexed_output, open_table, remove_table, write_indexed


@dataclass(frozen=True)
class Prepared:
    """What `prepare` found or made: the folder, row counts by part (its stem, see `benchmark.prepare.layout`), numbers
    of users and items over all parts, and the indexed tables with their item counts."""

    folder: Path
    counts: dict[str, int]
    users: int
    items: int
    tables: dict[Path, int]


def prepare(dataset: str, config: str | Path | None = None) -> Prepared:
    """Split `data/<dataset>/reviews.tsv`, re-index users and items, and index every feature table of the folder.

    A split that is there and was made from the same reviews with the same settings is kept, and so is one that
    somebody else made (`train.tsv`, `val.tsv`, `test.tsv` without `split.json`); the tables are linked anew each time.
    """
    settings = read_split_config(dataset, config)
    folder = Path("data") / dataset
    if not folder.is_dir():
        there = sorted(path.name for path in Path("data").glob("*/")) if Path("data").is_dir() else []
        raise UserError(
            "no such data folder",
            where=folder,
            mend=f"put reviews.tsv there; data/ holds: {', '.join(there) or 'nothing'}",
        )
    sources = _open_sources(folder)
    parts = find_or_make(folder, settings)
    users, items = number_users(parts), number_items(parts)
    for target in sources:  # a run that is killed from here on leaves no twin under the numbers of another split
        remove_table(target)
    write_twins(folder, parts, users, items)
    tables = {target: write_indexed(source, target, items, folder / ITEMS_MAP) for target, source in sources.items()}
    record_twins(folder, list(parts))
    announce(folder, parts, tables, len(items))
    return Prepared(folder, {stem: len(part) for stem, part in parts.items()}, len(users), len(items), tables)


def _open_sources(folder: Path) -> dict[Path, FeatureTable]:
    """Every feature table of the folder by the place of its twin; a broken one stops here, before any is touched."""
    outputs = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return {
        folder / indexed_output(output.name) / source.relative_to(output): open_table(source)
        for output in outputs
        if not re.search(r"_indexed(_\d+)?$", output.name)
        for source in find_tables(output)
    }
