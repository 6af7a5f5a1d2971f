"""Features taken away on purpose, and items that leave the data set because they have none."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd
from loguru import logger

from benchmark.data.splitters import Parts
from workbench.errors import UserError
from workbench.files import fingerprint

MissingItems = Literal["same", "independent"]


def is_removed(items: Sequence[str], rate: float, seed: int, modality: str | None = None) -> np.ndarray:
    """Which items lose their features at a missing rate, (len(items),) bool.

    An item loses them if its number in [0, 1) is below `rate`; the number is a hash of the item's id, the seed and
    the modality (None: modalities lose the same items). So each item is missing completely at random with probability
    `rate`; what is missing at .1 is also missing at .3; and an item's lot depends neither on the other items nor on
    the split, the policy or the model.

    Raises
    ------
    UserError : the rate is not in [0, 1).
    """
    if not 0 <= rate < 1:
        raise UserError(f"missing_rate is {rate}", mend="give a share from 0 to below 1")
    names = np.array(items, dtype=object)
    hashes = pd.util.hash_array(names, hash_key=fingerprint([seed, "missing_rate", modality]))
    return np.asarray((hashes >> np.uint64(11)) * 2.0**-53 < rate)


def drop_items(parts: Parts, items: Collection[str]) -> Parts:
    """The parts without the rows of `items` (raw ids), with a line that counts what leaves.

    Raises
    ------
    UserError : nothing is left of a part.
    """
    fields = ("train", "validation", "test", "validation_input", "test_input")
    kept, counts = {}, []
    for name in fields:
        part = getattr(parts, name)
        if part is None:
            continue
        gone = pd.Series(part.item_ids, dtype=object).isin(list(items)).to_numpy(dtype=bool)[part.items]
        kept[name] = part.select(~gone)
        counts.append(f"{int(gone.sum())} of {len(part)} rows of {name}")
        if gone.all():
            raise UserError(
                f"`missing: drop` leaves no row of {name}: all its items are without features",
                mend="point to the features of these items, or choose another policy",
            )
    if items:
        users = len(np.unique(parts.train.users)) - len(np.unique(kept["train"].users))
        logger.warning(
            "missing: drop: {} items without features leave the data set, with {}; {} users lose all training rows",
            len(items), ", ".join(counts), users,
        )  # fmt: skip
    if parts.items is not None:
        kept["items"] = parts.items[~pd.Series(parts.items, dtype=object).isin(list(items)).to_numpy(dtype=bool)]
    return replace(parts, **kept)
