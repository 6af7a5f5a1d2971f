"""Figures of the test part: of one ranking, and pooled over the replicates and test folds of a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.evaluation import Ranking
from benchmark.evaluation.per_user import write_per_user
from benchmark.evaluation.slices import SliceRow, measure_slices
from benchmark.experiment.fold import Fold

_BY_ROWS = ("user_activity", "item_popularity")  # slices whose bounds may differ between splits


@dataclass(frozen=True)
class Opened:
    """Test figures of one trained model.

    Attributes
    ----------
    users : (E,) raw ids of the judged users.
    per_user : `Metric@k` -> (E,) float64; system : `Metric@k` -> one number, for metrics of the whole system.
    slices : the figures of groups of users and items.
    means : of all metrics, in their order.
    """

    users: np.ndarray
    per_user: dict[str, np.ndarray]
    system: dict[str, float]
    slices: list[SliceRow]
    means: dict[str, float]


def open_ranking(fold: Fold, ranking: Ranking, threshold: float) -> Opened:
    """Every figure of one ranking of the test part."""
    measured = fold.test.measure(ranking)
    rows = measure_slices(ranking, fold.test.per_user, fold.slices, threshold) if fold.slices else []
    user_ids = np.array(fold.dataset.user_ids, dtype=object)
    return Opened(
        user_ids[ranking.users.cpu().numpy()],
        {name: values.cpu().numpy() for name, values in measured.per_user.items()},
        measured.system,
        rows,
        measured.means,
    )


def keep(per_user: Path, opened: Sequence[Sequence[Opened]]) -> dict[str, Any]:
    """Write the per-user values of all replicates, and return their figures for the journal.

    A figure is the mean over all users of all test folds and over the S replicates (validation folds x seeds), its
    spread the standard deviation over these S of the means over users.
    """
    users, folds, values = pool(opened)
    write_per_user(per_user, users, values, folds if len(opened) > 1 else None)
    columns = {name: array.mean(axis=1) for name, array in values.items()}  # (S,)
    everything = [each for replicates in opened for each in replicates]
    system = {
        name: _over_folds([[each.system.get(name, np.nan) for each in replicates] for replicates in opened])
        for name in dict.fromkeys(name for each in everything for name in each.system)
    }
    figures = columns | system
    columns = {name: figures[name] for name in dict.fromkeys(name for each in everything for name in each.means)}
    several = len(opened[0]) > 1
    return {
        "test": {name: float(array.mean()) for name, array in columns.items()},
        "spread": {name: float(array.std(ddof=1)) for name, array in columns.items()} if several else {},
        "users": len(users),
        "system": {name: array.tolist() for name, array in system.items()},
        "replicates": [[each.means for each in replicates] for replicates in opened],
        "slices": [asdict(each) for each in mean_slices([each.slices for fold in opened for each in fold])],
    }


def _over_folds(values: Sequence[Sequence[float]]) -> np.ndarray:
    """Means over test folds (S,) of a figure by fold and replicate; a fold without it (its group is absent) is left
    out, and NaN is what no fold has."""
    array = np.array(values)
    known = ~np.isnan(array)
    total = np.where(known, array, 0.0).sum(axis=0)
    return np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)


def mean_slices(replicates: Sequence[Sequence[SliceRow]]) -> list[SliceRow]:
    """Figures of each group, averaged over the replicates in which somebody is in it, weighed by users.

    Groups by numbers of rows have bounds of their own on each split: they are joined by their place, and named by it.
    Other groups are joined by name; so are those of which one split has more than another, which their names say.
    """
    by_slice: dict[str, list[list[SliceRow]]] = {}  # of each replicate
    for rows in replicates:
        for name, group in groupby(rows, key=lambda row: row.slice):
            by_slice.setdefault(name, []).append(list(group))
    return [row for each in by_slice.values() for row in _mean_groups(each)]


def _mean_groups(replicates: Sequence[Sequence[SliceRow]]) -> list[SliceRow]:
    """The same of one slice."""
    names = [tuple(row.group for row in rows) for rows in replicates]
    name, total = replicates[0][0].slice, len(names[0])
    joined: dict[str, list[SliceRow]] = {}
    if name in _BY_ROWS and len(set(names)) > 1 and len(set(map(len, names))) == 1:
        for place, rows in enumerate(zip(*replicates, strict=True), start=1):
            joined[f"group {place} of {total} (about {rows[0].group})"] = list(rows)
    else:
        for row in (row for rows in replicates for row in rows):
            joined.setdefault(row.group, []).append(row)
    means = []
    for group, found in joined.items():
        if len(found) < len(replicates):
            group = f"{group} (in {len(found)} of {len(replicates)} replicates)"
        filled = [row for row in found if row.users] or found[:1]
        weights = [max(row.users, 1) for row in filled]
        values = {
            metric: float(np.average([row.values[metric] for row in filled], weights=weights))
            for metric in filled[0].values
        }
        means.append(SliceRow(name, group, round(float(np.mean([row.users for row in found]))), values))
    return means


def pool(opened: Sequence[Sequence[Opened]]) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Per-user values of all replicates on all test folds: users (E,), folds (E,) int64, and `Metric@k` -> (S, E).

    Users that are not judged in every replicate of a fold (their training rows may all be in one validation fold) are
    left out. Where there are several test folds, a user stands once in each.
    """
    users = []
    columns: dict[str, list[np.ndarray]] = {name: [] for name in opened[0][0].per_user}
    for replicates in opened:
        numbers = [pd.Index(each.users) for each in replicates]
        common = replicates[0].users
        for other in numbers[1:]:
            common = common[other.get_indexer(pd.Index(common)) >= 0]
        users.append(common)
        rows = [number.get_indexer(pd.Index(common)) for number in numbers]
        for name, column in columns.items():
            column.append(np.stack([each.per_user[name][row] for each, row in zip(replicates, rows, strict=True)]))
    folds = np.repeat(np.arange(len(users)), [len(each) for each in users])
    return np.concatenate(users), folds, {name: np.concatenate(column, axis=1) for name, column in columns.items()}
