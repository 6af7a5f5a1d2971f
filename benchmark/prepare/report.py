"""What `run_split.py` prints: rows, users and items of every part, and who is lost for training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from loguru import logger

from benchmark.data.interactions import Interactions
from benchmark.prepare.layout import INPUTS, training_of
from workbench.console import show, table

_HEADERS = ("split", "interactions", "users", "items", "users lost", "items lost")


def announce(folder: Path, parts: Mapping[str, Interactions], tables: Mapping[Path, int], n_items: int) -> None:
    """Print a row for each part.

    Lost users have no training row, nor any that they show; lost items have no training row. Of a test part above
    several validation folds both are counted against the training parts of all of them together.
    """
    users = {stem: set(part.user_ids[np.unique(part.users)]) for stem, part in parts.items()}
    items = {stem: set(part.item_ids[np.unique(part.items)]) for stem, part in parts.items()}
    rows, lost_users, lost_items = [], set[str](), set[str]()
    for stem, part in parts.items():
        training = training_of(stem, parts)
        shown = f"{stem}_input"
        known = set[str]().union(*(users[other] for other in training), users.get(shown, ()))
        strangers = users[stem] - known if not stem.endswith(INPUTS) else set[str]()
        cold = items[stem] - set[str]().union(*(items[other] for other in training))
        counts = (len(part), len(users[stem]), len(items[stem]), len(strangers), len(cold))
        rows.append((stem, *(f"{count:,}" for count in counts)))
        lost_users |= strangers
        lost_items |= cold
    show(table(_HEADERS, rows))
    if lost_users:
        logger.warning("{} users have no training row and cannot be recommended to", len(lost_users))
    if lost_items:
        logger.warning(
            "{} items have no training row; their held-out rows count as misses, unless an experiment says "
            "`evaluation.candidates: all`",
            len(lost_items),
        )
    for path, count in tables.items():
        note = "" if count == n_items else f" ({n_items - count} of the {n_items} items have no features)"
        logger.info("indexed {}{}", path, note)
    if not tables:
        logger.info("no feature tables in {}: fine for models that read none; else extract, then split again", folder)
