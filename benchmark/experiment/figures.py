"""Figures of the test part: of one ranking, and pooled over the replicates and test folds of a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.evaluation import Ranking
from benchmark.evaluation.slices import SliceRow, measure_slices
from benchmark.experiment.fold import Fold
from benchmark.reports.files import write_per_user


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
    """Write the per-user values of all replicates, and return their figures for the journal."""
    users, values = pool(opened)
    write_per_user(per_user, users, values)
    columns = {name: array.mean(axis=1) for name, array in values.items()}  # (S,)
    system = {
        name: np.mean([[each.system[name] for each in replicates] for replicates in opened], axis=0)
        for name in opened[0][0].system
    }
    columns = {name: {**columns, **system}[name] for name in opened[0][0].means}
    several = len(opened[0]) > 1
    return {
        "test": {name: float(array.mean()) for name, array in columns.items()},
        "spread": {name: float(array.std(ddof=1)) for name, array in columns.items()} if several else {},
        "users": len(users),
        "system": {name: array.tolist() for name, array in system.items()},
        "replicates": [[each.means for each in replicates] for replicates in opened],
        "slices": [asdict(each) for each in mean_slices([each.slices for fold in opened for each in fold])],
    }


def mean_slices(replicates: Sequence[Sequence[SliceRow]]) -> list[SliceRow]:
    """Figures of each group, averaged over the replicates in which somebody is in it."""
    by_group: dict[tuple[str, str], list[SliceRow]] = {}
    for row in (row for rows in replicates for row in rows):
        by_group.setdefault((row.slice, row.group), []).append(row)
    means = []
    for (name, group), rows in by_group.items():
        filled = [row for row in rows if row.users] or rows[:1]
        values = {metric: float(np.mean([row.values[metric] for row in filled])) for metric in filled[0].values}
        means.append(SliceRow(name, group, round(float(np.mean([row.users for row in rows]))), values))
    return means


def pool(opened: Sequence[Sequence[Opened]]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Per-user values of all replicates on all test folds: users (E,), and `Metric@k` -> (S, E).

    Users that are not judged in every replicate of a fold (their training rows may all be in one validation fold) are
    left out. Where there are several test folds, a user stands once in each: `fold/user`.
    """
    users = []
    columns: dict[str, list[np.ndarray]] = {name: [] for name in opened[0][0].per_user}
    for fold, replicates in enumerate(opened):
        common = replicates[0].users
        for each in replicates[1:]:
            common = common[np.isin(common, each.users)]
        users.append(np.array([f"{fold}/{user}" for user in common], dtype=object) if len(opened) > 1 else common)
        for name, column in columns.items():
            rows = [each.per_user[name][_rows_of(common, each.users)] for each in replicates]
            column.append(np.stack(rows))
    return np.concatenate(users), {name: np.concatenate(column, axis=1) for name, column in columns.items()}


def _rows_of(wanted: np.ndarray, users: np.ndarray) -> np.ndarray:
    order = np.argsort(users)
    return np.asarray(order[np.searchsorted(users, wanted, sorter=order)])
