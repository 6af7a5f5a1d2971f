"""The slices of an experiment file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from loguru import logger

from benchmark.config.slices import ClusterFile, SliceSettings
from benchmark.data.dataset import Dataset
from benchmark.data.modalities import Modality
from benchmark.data.raw_ids import NO_MAPS, IdMap, RawIds
from benchmark.evaluation.clusters import read_clustering
from benchmark.evaluation.slices import Grouped, Slice, equal_begins, group_by_count
from workbench.errors import UserError


def build_slices(
    settings: SliceSettings,
    dataset: Dataset,
    modalities: Sequence[Modality],
    path: Callable[[str], Path],
    raw: RawIds = NO_MAPS,
) -> list[Slice]:
    """The groupings that the block asks for.

    Parameters
    ----------
    modalities : the loaded ones, in the order of the catalogue's items.
    path : from a path as it stands in the file to where it leads.
    raw : the maps behind the ids of the data set.

    Raises
    ------
    UserError : coverage is asked for and no modality is loaded; a clustering file that cannot be used.
    """
    n_ids = len(dataset.item_ids)
    popularity = np.bincount(dataset.train.items, minlength=n_ids)
    slices = []
    if settings.user_activity is not None:
        slices.append(_user_activity(settings.user_activity, dataset))
    if settings.item_popularity is not None:
        slices.append(_item_popularity(settings.item_popularity, popularity))
    if settings.new_items:
        slices.append(Slice("new_items", "items", ("new", "others"), np.where(popularity == 0, 0, 1)))
    if settings.modality_coverage:
        slices.append(_modality_coverage(modalities, n_ids))
    slices += [_from_file(cluster, "users", dataset.user_ids, path, raw.users) for cluster in settings.users]
    slices += [_from_file(cluster, "items", dataset.item_ids, path, raw.items) for cluster in settings.items]
    return slices


def _from_file(
    cluster: ClusterFile, of: Grouped, ids: Sequence[str], path: Callable[[str], Path], raw: IdMap | None
) -> Slice:
    groups = read_clustering(path(cluster.file), cluster.label, ids, torch.device("cpu"), raw, cluster.ids)
    return Slice(groups.name, of, tuple(groups.labels), groups.of.numpy())


def _user_activity(groups: int | list[int], dataset: Dataset) -> Slice:
    """By training rows, and rows that are shown at test; equally filled with the users who have test rows."""
    rows = dataset.train.counts + (0 if dataset.test_input is None else dataset.test_input.counts)
    if isinstance(groups, list):
        codes, names = group_by_count(rows, groups)
        return Slice("user_activity", "users", names, codes)
    tested = rows[dataset.test.counts > 0]
    begins = equal_begins(tested, np.ones_like(tested), groups)
    _tell_fewer("user_activity", len(begins) + 1, groups, "users")
    codes, names = group_by_count(rows, begins, int(tested.min()))
    return Slice("user_activity", "users", names, codes)


def _item_popularity(groups: int | list[int], popularity: np.ndarray) -> Slice:
    """By training rows; of equally many training rows together. Items without any are then in no group."""
    if isinstance(groups, list):
        codes, names = group_by_count(popularity, groups)
        return Slice("item_popularity", "items", names, codes)
    seen = popularity[popularity > 0]
    begins = equal_begins(seen, seen, groups)
    _tell_fewer("item_popularity", len(begins) + 1, groups, "items")
    codes, names = group_by_count(popularity, begins, 1)
    return Slice("item_popularity", "items", names, codes)


def _modality_coverage(modalities: Sequence[Modality], n_ids: int) -> Slice:
    """By how many of the modalities have features for the item; an item outside the catalogue is in no group."""
    if not modalities:
        raise UserError(
            "`modality_coverage` groups items by their features, and none are loaded",
            mend="add a loader to `side_information`, or remove `modality_coverage`",
        )
    present = np.stack([modality.present for modality in modalities]).sum(axis=0)
    codes = np.full(n_ids, -1)
    codes[: len(present)] = np.where(present == len(modalities), 0, np.where(present > 0, 1, 2))
    return Slice("modality_coverage", "items", ("all", "some", "none"), codes)


def _tell_fewer(name: str, found: int, wanted: int, what: str) -> None:
    if found < wanted:
        logger.warning("{}: {} groups instead of {}: many {} have equally many rows", name, found, wanted, what)
