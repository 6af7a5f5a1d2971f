"""`run_split.py`: reviews -> train / val / test, integer ids, and feature tables under those ids."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from loguru import logger

from benchmark.config import SplitSettings, read_split_config
from benchmark.data.interactions import Interactions, read_interactions, write_interactions
from benchmark.data.prefilters import apply_prefilters
from benchmark.data.splitters import split
from workbench.console import show, table
from workbench.errors import UserError
from workbench.features import FeatureTable, find_tables, indexed_output, open_table, remove_table, write_indexed
from workbench.files import read_json, sha256_file, write_json, write_text

PARTS = ("train", "val", "test")
ITEMS_MAP = "items_map.tsv"


@dataclass(frozen=True)
class Prepared:
    """What `prepare` found or made: the folder, row counts by part, and the indexed tables with their item counts."""

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
    _split(folder, settings)
    parts = {name: read_interactions(folder / f"{name}.tsv", settings.duplicates) for name in PARTS}
    users, items = (_first_appearance(parts, column) for column in ("user", "item"))
    sources = _open_sources(folder)
    for target in sources:  # a run that is killed from here on leaves no twin under the numbers of another split
        remove_table(target)
    _write_indexed_parts(folder, parts, users, items)
    tables = {target: write_indexed(source, target, items, folder / ITEMS_MAP) for target, source in sources.items()}
    _record_indexed(folder)
    counts = {name: len(part) for name, part in parts.items()}
    _announce(folder, parts, counts, tables, len(items))
    return Prepared(folder, counts, len(users), len(items), tables)


def _split(folder: Path, settings: SplitSettings) -> None:
    record = folder / "split.json"
    ready = all((folder / f"{name}.tsv").is_file() for name in PARTS)
    if ready and not record.is_file():
        logger.info("{}: a ready split without split.json is kept as it is", folder)
        return
    reviews = settings.reviews or folder / "reviews.tsv"
    if not reviews.is_file():
        raise UserError(
            "no such interaction file", where=reviews, mend="put a TSV there: user, item, rating, timestamp"
        )
    recipe = settings.recipe() | {"reviews_sha256": sha256_file(reviews)}
    known = read_json(record) if record.is_file() else {}
    ready = ready and "sha256" in known  # a record without hashes is of a run that was killed
    if ready and known.get("recipe") == recipe:
        hashes = known["sha256"]
        if all(hashes.get(name) == sha256_file(folder / f"{name}.tsv") for name in PARTS):
            logger.info("{}: the split is up to date (seed {})", folder, settings.seed)
            return
        raise UserError(
            "the split files were changed by hand since they were made",
            where=folder,
            mend="delete split.json to keep them, or train.tsv to split anew",
        )
    if ready:
        logger.info("{}: the reviews or the settings changed, splitting anew", folder)
    interactions = apply_prefilters(read_interactions(reviews, settings.duplicates), settings.prefilters)
    parts = split(interactions, settings.test, settings.validation, settings.seed)
    assert parts.validation is not None
    write_json(record, {"recipe": recipe})  # first, so that a run killed half way is not taken for a ready split
    for name in PARTS:  # nor leaves parts of two splits side by side
        (folder / f"{name}.tsv").unlink(missing_ok=True)
    made = dict(zip(PARTS, (parts.train, parts.validation, parts.test), strict=True))
    for name, part in made.items():
        write_interactions(folder / f"{name}.tsv", part, part.user_ids[part.users], part.item_ids[part.items])
    summary: dict[str, Any] = {
        "recipe": recipe,
        "reviews": os.path.relpath(reviews, folder),
        "counts": {name: len(part) for name, part in made.items()},
        "sha256": {name: sha256_file(folder / f"{name}.tsv") for name in PARTS},
    }
    write_json(record, summary)


def _record_indexed(folder: Path) -> None:
    """Add the hashes of the indexed parts to the record, so that the runner notices when they are changed."""
    record = folder / "split.json"
    if record.is_file():
        hashes = {name: sha256_file(folder / f"{name}_indexed.tsv") for name in PARTS}
        write_json(record, {**read_json(record), "indexed_sha256": hashes})


def _first_appearance(parts: dict[str, Interactions], column: str) -> dict[str, int]:
    seen: dict[str, int] = {}
    for name in PARTS:
        part = parts[name]
        codes, ids = (part.users, part.user_ids) if column == "user" else (part.items, part.item_ids)
        _, first = np.unique(codes, return_index=True)
        for identifier in ids[codes[np.sort(first)]]:
            seen.setdefault(identifier, len(seen))
    return seen


def _write_indexed_parts(
    folder: Path, parts: dict[str, Interactions], users: dict[str, int], items: dict[str, int]
) -> None:
    for name, part in parts.items():
        user_index = np.array([users[identifier] for identifier in part.user_ids], dtype=np.int64)
        item_index = np.array([items[identifier] for identifier in part.item_ids], dtype=np.int64)
        write_interactions(folder / f"{name}_indexed.tsv", part, user_index[part.users], item_index[part.items])
    for name, index in (("users_map.tsv", users), (ITEMS_MAP, items)):
        write_text(folder / name, "".join(f"{raw}\t{number}\n" for raw, number in index.items()))


def _open_sources(folder: Path) -> dict[Path, FeatureTable]:
    """Every feature table of the folder by the place of its twin; a broken one stops here, before any is touched."""
    outputs = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return {
        folder / indexed_output(output.name) / source.relative_to(output): open_table(source)
        for output in outputs
        if not re.search(r"_indexed(_\d+)?$", output.name)
        for source in find_tables(output)
    }


def _announce(
    folder: Path,
    parts: dict[str, Interactions],
    counts: dict[str, int],
    tables: dict[Path, int],
    n_items: int,
) -> None:
    rows = [
        (name, f"{counts[name]:,}", f"{len(part.user_ids):,}", f"{len(part.item_ids):,}")
        for name, part in parts.items()
    ]
    show(table(("split", "interactions", "users", "items"), rows))
    train_users, train_items = set(parts["train"].user_ids), set(parts["train"].item_ids)
    lost = {identifier for part in parts.values() for identifier in part.user_ids} - train_users
    cold = {identifier for part in parts.values() for identifier in part.item_ids} - train_items
    if lost:
        logger.warning("{} users have no training row and cannot be recommended to", len(lost))
    if cold:
        logger.warning("{} items have no training row; their held-out rows count as misses", len(cold))
    for path, count in tables.items():
        note = "" if count == n_items else f" ({n_items - count} of the {n_items} items have no features)"
        logger.info("indexed {}{}", path, note)
    if not tables:
        logger.info("no feature tables in {}: fine for models that read none; else extract, then split again", folder)
