"""The features of an experiment file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from loguru import logger

from benchmark.config import ExperimentFile, SideInformation
from benchmark.data.dataset import Csr, Dataset
from benchmark.data.formats import mmrec, recom_data
from benchmark.data.interactions import Interactions
from benchmark.data.modalities import (
    Matrix,
    MissingItems,
    Modality,
    Reviews,
    Rows,
    Source,
    drop_items,
    held_out_reviews,
    is_pair_table,
    is_removed,
    load_modality,
    open_source,
)
from benchmark.data.splitters import Parts
from benchmark.load.raw_ids import raw_ids_of
from workbench.arrays import used_codes
from workbench.errors import UserError


def load_features(file: ExperimentFile, side: SideInformation, dataset: Dataset, missing_rate: float = 0.0) -> Modality:
    """The features that a loader names, in the order of the data set's items.

    Parameters
    ----------
    missing_rate : share of the items that lose the features of a modality, see `is_removed`; the key `missing_items`
        says whether all modalities lose those of the same items.
    """
    items = dataset.item_ids[: dataset.n_items]
    seed = file.experiment.random_seed
    rows = _open(file, side)
    source: Source = rows
    if side.source == "interactions":
        source = Reviews(rows, dataset.user_ids, dataset.item_ids, dataset.train)
        count = held_out_reviews(rows.table.ids, dataset)
        logger.info("{}: {} reviews of held-out pairs stand in this table and are not read", rows.path, count)
    removed = _removed(items, missing_rate, file.experiment.data_config.missing_items, seed, side)
    policy = side.missing.build()
    return load_modality(
        side.modality, source, items, policy, side.normalise, side.control, seed, dataset.train, removed
    )


def drop_items_without_features(
    file: ExperimentFile, parts: Parts, missing_rate: float = 0.0, missing_items: MissingItems = "same"
) -> Parts:
    """The parts without the items that lack a modality whose policy is `drop`, or lose it at this missing rate."""
    dropping = [side for side in file.experiment.data_config.side_information if side.missing.policy == "drop"]
    if not dropping:
        return parts
    given = (parts.train, parts.validation, parts.test, parts.validation_input, parts.test_input)
    used = {item for part in given if part is not None for item in part.item_ids[used_codes(part.items)]}
    items = sorted(used | set([] if parts.items is None else parts.items))
    seed = file.experiment.random_seed
    lacking: np.ndarray = np.zeros(len(items), dtype=bool)
    for side in dropping:
        rows = _open(file, side, verify=False)
        source = _reviews(rows, parts.train, items) if side.source == "interactions" else rows
        lacking |= ~source.has(items) | _removed(items, missing_rate, missing_items, seed, side)
    return drop_items(parts, [items[row] for row in np.flatnonzero(lacking)]) if lacking.any() else parts


def _removed(items: Sequence[str], rate: float, which: MissingItems, seed: int, side: SideInformation) -> np.ndarray:
    return is_removed(items, rate, seed, side.modality if which == "independent" else None)


def _reviews(rows: Rows, train: Interactions, items: list[str]) -> Reviews:
    """Training reviews before users and items are numbered; `items` holds all items of the training part."""
    numbers = pd.Index(items).get_indexer(pd.Index(train.item_ids))[train.items]
    return Reviews(
        rows, train.user_ids.tolist(), items, Csr.build(train.users, numbers, train.ratings, len(train.user_ids))
    )


def _open(file: ExperimentFile, side: SideInformation, verify: bool = True) -> Rows:
    path = file.path(side.path)
    own = _open_beside_the_parts(file, path) if side.ids is None else None
    if own is not None:
        return own
    rows = open_source(path, None if side.ids is None else file.path(side.ids), verify)
    if side.source == "items" and is_pair_table(rows.table):
        raise UserError(
            "the rows of this table are of interactions, not of items",
            where=path,
            mend="add `source: interactions` at that loader: an item gets the mean over its training rows",
        )
    _refuse_raw_numbers(file, rows, path)
    return rows


def _open_beside_the_parts(file: ExperimentFile, path: Path) -> Matrix | None:
    """A matrix in the folder that the parts come from, where their format says which item a row is."""
    config = file.experiment.data_config
    if config.dataset_path is None or path.suffix != ".npy" or path.is_dir():
        return None
    parts = file.path(config.dataset_path)
    if path.parent.resolve() != (parts if parts.is_dir() else parts.parent).resolve():
        return None
    if config.strategy == "recom_data":
        return recom_data.open_features(path)
    return mmrec.open_features(path) if config.strategy == "mmrec" or parts.suffix == ".inter" else None


def _refuse_raw_numbers(file: ExperimentFile, rows: Rows, path: Path) -> None:
    """Raw ids that are numbers look like the numbers that `run_split.py` gives, and mean other items."""
    told = bool(rows.table.manifest)  # a folder without manifest may be an indexed twin as well as a raw one
    if "indexed_from" in rows.table.manifest or not (told or isinstance(rows, Matrix)):
        return
    known = raw_ids_of(file).items
    if known is None or not (told or all(raw.isdecimal() for raw in known.raw.values())):
        return
    config = file.experiment.data_config
    numbering = "under raw ids" if told else "perhaps under raw ids"
    raise UserError(
        f"these rows are {numbering}, and {config.train_path or config.root_folder} is under the numbers of "
        f"{known.path.name}",
        where=path,
        mend="point train_path, validation_path and test_path to the files without `_indexed`"
        + (", or this loader to the indexed table" if told else ""),
    )
