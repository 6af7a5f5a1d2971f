"""Values of every judged user on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from workbench.files import atomic_file


def write_per_user(
    path: Path, users: np.ndarray, values: dict[str, np.ndarray], folds: np.ndarray | None = None
) -> None:
    """`<row>.npz`: raw ids `users` (E,), and values (S, E) under `Metric@k`; (E,) where there is one replicate.

    Where there are several test folds, `folds` (E,) int64 says in which one the user was judged: a user may stand in
    each of them.
    """
    with atomic_file(path) as temporary, temporary.open("wb") as stream:
        arrays = {name: array[0] if len(array) == 1 else array for name, array in values.items()}
        if folds is not None:
            arrays["folds"] = folds
        np.savez_compressed(stream, users=users.astype(np.str_), **arrays)  # type: ignore[arg-type]
