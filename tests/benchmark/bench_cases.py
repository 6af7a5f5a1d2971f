"""Small data sets in the forms that the bench knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmark.data.dataset import Csr
from benchmark.data.interactions import Interactions, read_interactions
from benchmark.models.base import Features, TrainingData

Row = tuple[Any, ...]


def write_rows(path: Path, rows: Sequence[Row]) -> Path:
    """A TSV without header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows), encoding="utf-8")
    return path


def read_rows(path: Path) -> list[tuple[str, ...]]:
    return [tuple(line.split("\t")) for line in path.read_text(encoding="utf-8").splitlines()]


def interactions(folder: Path, rows: Sequence[Row]) -> Interactions:
    return read_interactions(write_rows(folder / "rows.tsv", rows))


def decoded(data: Interactions) -> list[tuple[str, str, float]]:
    """Rows as (user, item, rating) in order."""
    users, items = data.user_ids[data.users], data.item_ids[data.items]
    return list(zip(users.tolist(), items.tolist(), data.ratings.tolist(), strict=True))


def csr(rows: Mapping[int, Mapping[int, float]], n_users: int) -> Csr:
    """`{user: {item: rating}}` as CSR."""
    triples = [(user, item, rating) for user, given in rows.items() for item, rating in given.items()]
    users, items, ratings = (np.array(column) for column in zip(*triples, strict=True))
    return Csr.build(users, items, ratings, n_users)


def training_data(
    items_of: Sequence[Sequence[int]], n_items: int, features: Mapping[str, np.ndarray] | None = None
) -> TrainingData:
    """What a model is given, from the items of every user."""
    indptr = np.cumsum([0, *map(len, items_of)])
    flat = [item for items in items_of for item in sorted(items)]
    loaded = {
        name: Features(torch.from_numpy(values), torch.ones(n_items, dtype=torch.bool))
        for name, values in (features or {}).items()
    }
    return TrainingData(len(items_of), n_items, torch.from_numpy(indptr), torch.tensor(flat), loaded)


def random_reviews(seed: int, n_users: int = 60, n_items: int = 40, most: int = 20) -> list[Row]:
    """Rows of (user, item, rating, time) in shuffled order; popular items exist, no pair stands twice."""
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, n_items + 1)
    rows = [
        (f"u{user}", f"i{item}", rng.integers(1, 6), rng.integers(10**9, 2 * 10**9))
        for user in range(n_users)
        for item in rng.choice(n_items, rng.integers(3, most), replace=False, p=weights / weights.sum())
    ]
    return [rows[place] for place in rng.permutation(len(rows))]


def drawn_interactions(
    seed: int, n_users: int = 25, n_items: int = 30, least: int = 1, most: int = 25, n_moments: int = 40
) -> Interactions:
    """Rows in random order, no pair twice; popular items exist, times come from few moments, ids need not have rows."""
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, n_items + 1)
    counts = rng.integers(least, most + 1, n_users)
    drawn = [rng.choice(n_items, count, replace=False, p=weights / weights.sum()) for count in counts]
    users, items = np.repeat(np.arange(n_users), counts), np.concatenate(drawn)
    order = rng.permutation(len(users))
    user_ids = np.array([f"u{user:03}" for user in range(n_users)], dtype=object)
    item_ids = np.array([f"i{item:03}" for item in range(n_items)], dtype=object)
    ratings = rng.integers(1, 6, len(users)).astype(np.float64)
    times = rng.integers(0, n_moments, len(users))
    return Interactions(users[order], items[order], user_ids, item_ids, ratings, None, times)
