"""One modality, from its source to what models see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
from loguru import logger

from benchmark.data.dataset import Csr
from benchmark.data.modalities.base import Imputer, Modality, Observed, draw
from benchmark.data.modalities.controls import Control, apply_control
from benchmark.data.modalities.normalisation import Normalisation, normalise
from benchmark.data.modalities.reviews import Reviews
from benchmark.data.modalities.sources import Source, open_source
from workbench.errors import UserError
from workbench.files import fingerprint, sha256_array

Policy = Imputer | Literal["error", "drop"]


def load_modality(
    name: str,
    source: Source | Path,
    items: Sequence[str],
    missing: Policy = "error",
    normalisation: Normalisation = "none",
    control: Control | None = None,
    seed: int = 42,
    train: Csr | None = None,
    removed: np.ndarray | None = None,
) -> Modality:
    """Load the features of `items` (I raw ids).

    Parameters
    ----------
    source : where they lie; a path is opened.
    missing : what an item without features gets. Under `error`, and under `drop` once the items without features have
        left the data set, every item must have some.
    normalisation, control, seed : see `benchmark.data.modalities`.
    train : the training part, for policies that ask the items' neighbours.
    removed : (I,) bool, items whose features are taken away before anything else is done with them.

    Raises
    ------
    UserError : nothing there that can be read, no row for any item, or items without a row that the policy refuses.
    """
    source = open_source(source) if isinstance(source, Path) else source
    values, present = source.gather(items)
    if not present.any():
        reviews = "" if isinstance(source, Reviews) else "; for a table of reviews add `source: interactions`"
        raise UserError(
            f"none of the {len(items)} items has a row in this table",
            where=source.path,
            mend=f"point to the indexed table for *_indexed.tsv files, to the raw one for raw ids{reviews}",
        )
    taken = 0
    if removed is not None:
        taken = int((present & removed).sum())
        present &= ~removed
        values[removed] = 0.0
    if not present.any():
        raise UserError(
            "`missing_rate` takes the features of every item", where=source.path, mend="give a lower `missing_rate`"
        )
    absent = np.flatnonzero(~present)
    if len(absent) and isinstance(missing, str):
        raise _refusal([items[row] for row in absent[:5]], len(absent), len(items), taken, source.path)
    if control is not None:
        apply_control(control, values, present, name, seed)
        logger.info("{}: control features ({}) stand in for the real ones", name, control)
    normalise(normalisation, values, present)
    if len(absent) and not isinstance(missing, str):
        rows, alone = missing.fill(Observed(values, present, train, draw(seed, "imputation", name)))
        values[absent] = rows
        _tell(name, source.path, len(items), len(absent), taken, missing, alone)
    digest = fingerprint([name, values.shape, sha256_array(values), sha256_array(present)])
    return Modality(name, values, present, str(source.path), digest)


def _refusal(names: list[str], absent: int, total: int, taken: int, path: Path) -> UserError:
    why = f" ({taken} of them because of missing_rate)" if taken else ""
    return UserError(
        f"{absent} of {total} items have no features{why}, among them {', '.join(map(repr, names))}",
        where=path,
        mend="extract them, or choose at that loader what stands in for them: `missing: zeros`, mean, random, "
        "neighbour_mean, multi_hop, pagerank or heat; `drop` takes the items out of the data set",
    )


def _tell(name: str, path: Path, total: int, absent: int, taken: int, missing: Any, alone: int) -> None:
    settings = ", ".join(f"{field.name} {getattr(missing, field.name)}" for field in fields(missing))
    by = f"{missing.policy} ({settings})" if settings else missing.policy
    of_these = f" ({taken} of them because of missing_rate)" if taken else ""
    short = f"; {alone} of them with the mean, as no item with features is within reach" if alone else ""
    (logger.warning if absent > taken else logger.info)(
        "{}: {} of {} items have no features in {}{}, {} have some; filled with {}{}",
        name, absent, total, path, of_these, total - absent, by, short,
    )  # fmt: skip
