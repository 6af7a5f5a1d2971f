"""Item features in the order of the data set's items, with a mask that says which items have any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from loguru import logger

from workbench.errors import UserError
from workbench.features import open_table
from workbench.files import fingerprint, sha256_array

Missing = Literal["error", "zeros", "mean"]
Control = Literal["shuffled", "random"]


@dataclass(frozen=True)
class Modality:
    """Features of one modality.

    Attributes
    ----------
    name : `visual`, `textual`, `audio`.
    features : (I, D) float32, row = item number.
    present : (I,) bool; False where the item has no features and the row holds what the `missing` policy put there.
    source : folder of the table.
    digest : hash of everything above.
    """

    name: str
    features: np.ndarray
    present: np.ndarray
    source: str
    digest: str


def load_modality(
    name: str,
    path: Path,
    items: Sequence[str],
    missing: Missing = "error",
    control: Control | None = None,
    seed: int = 42,
) -> Modality:
    """Load the features of `items` (I raw ids) from the table at `path`.

    Parameters
    ----------
    missing : what an item without a row gets: an error that names it, zeros, or the mean of the others.
    control : put uninformative features in the place of the real ones: rows exchanged among items, or noise of the same
        mean and scale; drawn from `seed`.

    Raises
    ------
    UserError : no table there, no row for any item, or, under the policy `error`, items without a row.
    """
    values, present = open_table(path).gather(items)
    absent = np.flatnonzero(~present)
    if len(absent) == len(items):
        raise UserError(
            f"none of the {len(items)} items has a row in this table",
            where=path,
            mend="point to the indexed table for *_indexed.tsv files, to the raw one for raw ids",
        )
    if len(absent):
        if missing == "error":
            names = ", ".join(repr(items[row]) for row in absent[:5])
            raise UserError(
                f"{len(absent)} of {len(items)} items have no features, among them {names}",
                where=path,
                mend="extract them, or say `missing: zeros` or `missing: mean` at that loader",
            )
        logger.warning("{}: {} of {} items have no features; filled with {}", path, len(absent), len(items), missing)
        values[absent] = values[present].mean(axis=0) if missing == "mean" else 0.0
    if control is not None:
        values, present = _control(control, values, present, seed)
        logger.info("{}: control features ({}) stand in for the real ones", name, control)
    digest = fingerprint([name, values.shape, sha256_array(values), sha256_array(present)])
    return Modality(name, values, present, str(path), digest)


def _control(kind: Control, values: np.ndarray, present: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Same shape and scale without the item's information: rows exchanged among items, or normal noise."""
    generator = np.random.default_rng(seed)
    if kind == "shuffled":
        order = generator.permutation(len(values))
        return values[order], present[order]
    noise = generator.standard_normal(values.shape, dtype=np.float32)
    return noise * values.std(axis=0) + values.mean(axis=0), present
