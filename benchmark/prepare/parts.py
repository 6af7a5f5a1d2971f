"""The parts on disk: made once, kept while reviews and settings stay, refused when they were changed by hand."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from loguru import logger

from benchmark.config import SplitSettings
from benchmark.data.interactions import Duplicates, Interactions, read_interactions, write_interactions
from benchmark.data.prefilters import apply_prefilters
from benchmark.prepare.layout import INDEXED_TREE, INPUTS, PARTS, TREE, indexed, stems_of
from workbench.config import located
from workbench.errors import UserError
from workbench.files import atomic_folder, read_json, sha256_file, write_json

RECORD = "split.json"


def find_or_make(folder: Path, settings: SplitSettings) -> dict[str, Interactions]:
    """The parts by stem.

    A split that is there and was made from the same reviews with the same settings is read, and so is one that somebody
    else made (`train.tsv`, `val.tsv`, `test.tsv` without `split.json`).

    Raises
    ------
    UserError : no reviews, unreadable reviews, an empty part, or a split that was changed by hand.
    """
    if not (folder / RECORD).is_file() and _all_there(folder, PARTS):
        logger.info("{}: a ready split without {} is kept as it is", folder, RECORD)
        given = [*PARTS, *(stem for stem in INPUTS if (folder / f"{stem}.tsv").is_file())]
        return _read_parts(folder, given, settings.duplicates)
    reviews = settings.reviews or folder / "reviews.tsv"
    if not reviews.is_file():
        raise UserError(
            "no such interaction file", where=reviews, mend="put a TSV there: user, item, rating, timestamp"
        )
    recipe = settings.recipe() | {"reviews_sha256": sha256_file(reviews)}
    known = _known(folder)
    hashes = {stem: digest for stem, digest in known.get("sha256", {}).items() if not _is_twin(stem)}
    ready = bool(hashes) and _all_there(folder, hashes)  # a record without hashes is of a run that was killed
    if ready and known.get("recipe") == recipe:
        if any(digest != sha256_file(folder / f"{stem}.tsv") for stem, digest in hashes.items()):
            raise UserError(
                "the split files were changed by hand since they were made",
                where=folder,
                mend=f"delete {RECORD} to keep them, or train.tsv to split anew"
                if "train" in hashes
                else f"delete the folder {TREE} to split anew",
            )
        logger.info("{}: the split is up to date (seed {})", folder, settings.seed)
        return _read_parts(folder, hashes, settings.duplicates)
    if ready:
        logger.info("{}: the reviews or the settings changed, splitting anew", folder)
    interactions = read_interactions(reviews, settings.duplicates, settings.layout)
    with located(settings.document, ("experiment", "prefiltering")):
        interactions = apply_prefilters(interactions, settings.prefilters)
    with located(settings.document, ("experiment", "splitting")):
        made = stems_of(settings.splitting.folds(interactions, settings.seed))
    _replace(folder, made, known, {"recipe": recipe, "reviews": os.path.relpath(reviews, folder)})
    return made


def write_parts(
    folder: Path, parts: Mapping[str, Interactions], ids: Callable[[Interactions], tuple[np.ndarray, np.ndarray]]
) -> None:
    """Write parts by stem, with the ids (T,) of users and items that `ids` gives; a tree whole or not at all."""
    tree, slash, _ = next(iter(parts)).partition("/")
    if not slash:
        for stem, part in parts.items():
            write_interactions(folder / f"{stem}.tsv", part, *ids(part))
        return
    with atomic_folder(folder / tree) as temporary:
        for stem, part in parts.items():
            path = temporary / f"{stem.removeprefix(tree + slash)}.tsv"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_interactions(path, part, *ids(part))


def record_twins(folder: Path, stems: Sequence[str]) -> None:
    """Add the hashes of the indexed parts to the record, so that the runner notices when they are changed."""
    if not (folder / RECORD).is_file():
        return
    record = _known(folder)
    digests = {stem: sha256_file(folder / f"{indexed(stem)}.tsv") for stem in stems}
    if TREE in record:
        record["sha256"] |= {indexed(stem): digest for stem, digest in digests.items()}
    else:
        record["indexed_sha256"] = digests
    write_json(folder / RECORD, record)


def _replace(folder: Path, made: dict[str, Interactions], known: dict[str, Any], record: dict[str, Any]) -> None:
    """Write the parts in the place of an older split.

    The record comes first, without hashes, so that a run that is killed half way is not taken for a ready split; and
    nothing of the older split is left, so that the parts of two splits never lie side by side.
    """
    in_tree = "train" not in made
    if in_tree and (folder / TREE).exists() and TREE not in known:
        raise UserError(
            "there is a folder where the folds would be written", where=folder / TREE, mend="move or remove it"
        )
    trees = {TREE: len({stem.split("/")[1] for stem in made})} if in_tree else {}
    owned = {TREE: known[TREE]} if TREE in known else trees
    write_json(folder / RECORD, {"recipe": record["recipe"], **owned})
    if TREE in known:
        for tree in (TREE, INDEXED_TREE):
            shutil.rmtree(folder / tree, ignore_errors=True)
    for stem in (*PARTS, *INPUTS):
        for name in (stem, indexed(stem)):
            (folder / f"{name}.tsv").unlink(missing_ok=True)
    write_parts(folder, made, lambda part: (part.user_ids[part.users], part.item_ids[part.items]))
    record["counts"] = {stem: len(part) for stem, part in made.items()}
    record["sha256"] = {stem: sha256_file(folder / f"{stem}.tsv") for stem in made}
    write_json(folder / RECORD, {**record, **trees})


def _read_parts(folder: Path, stems: Iterable[str], duplicates: Duplicates) -> dict[str, Interactions]:
    return {stem: read_interactions(folder / f"{stem}.tsv", duplicates) for stem in stems}


def _known(folder: Path) -> dict[str, Any]:
    record = read_json(folder / RECORD) if (folder / RECORD).is_file() else {}
    if not isinstance(record, dict) or not isinstance(record.get("sha256", {}), dict):
        raise UserError("not a record of a split", where=folder / RECORD, mend="delete it and run the step again")
    return record


def _is_twin(stem: str) -> bool:
    return stem.startswith(f"{INDEXED_TREE}/")


def _all_there(folder: Path, stems: Iterable[str]) -> bool:
    return all((folder / f"{stem}.tsv").is_file() for stem in stems)
