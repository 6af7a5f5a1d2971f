"""EASE: a full item-item regression without self-similarity, in closed form (Steck, WWW 2019).

minimise |R - R B|_F^2 + l2_norm |B|_F^2 with diag(B) = 0:

P = (R^T R + l2_norm E)^-1, E the identity      B_ij = -P_ij / P_jj for i != j      score(u, i) = r_u B_.i

B is dense, I x I, and this is the one model here that holds such a matrix: it takes 12 I^2 bytes while P is turned into
B and 4 I^2 afterwards. P is computed in double precision, in place, by its Cholesky factor; B is single precision.

Addition, as in the configurations of Elliot: `neighborhood` keeps the largest positive B_ij of each item i that is
scored (of equal ones the lower number); -1 keeps all, the paper's model.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import PositiveFloat, PositiveInt
from scipy.linalg import lapack
from scipy.sparse import csr_array

from benchmark.models import base
from benchmark.models.base import TrainingData
from benchmark.models.profiles import ItemWeights, blocks, largest, stacked
from workbench.errors import UserError


class EASE(ItemWeights):
    """B: `weights` (I, I), dense; sparse where only a neighbourhood is kept."""

    class Params(base.Params):
        """l2_norm: weight of |B|^2. neighborhood: entries kept of each column, -1 for all."""

        l2_norm: PositiveFloat = 1000.0
        neighborhood: PositiveInt | Literal[-1] = -1

    without_effect = {"seed": "nothing is drawn"}

    def __init__(self, params: Params, data: TrainingData) -> None:
        super().__init__(params, data)
        _check_memory(data.n_items)
        self.weights = _regression(self.interactions, params.l2_norm)
        if params.neighborhood != -1:
            self.weights = _largest_of_columns(self.weights, params.neighborhood)


def _regression(seen: csr_array, l2_norm: float) -> np.ndarray:
    """B (I, I) float32."""
    n_items = seen.shape[1]
    matrix = np.empty((n_items, n_items), order="F")  # R^T R, its Cholesky factor, P: one after the other, in place
    users_of = seen.T.tocsr()
    for items in blocks(n_items, n_items):
        matrix[:, items] = (users_of[items] @ seen).toarray().T
    matrix[np.diag_indices(n_items)] += l2_norm
    matrix, failed = lapack.dpotrf(matrix, lower=1, overwrite_a=1, clean=0)
    if not failed:
        matrix, failed = lapack.dpotri(matrix, lower=1, overwrite_c=1)
    if failed:
        raise UserError(
            f"EASE: R^T R + {l2_norm:g} E is singular in double precision", mend="set `l2_norm` to a larger value"
        )
    scale = -1 / matrix.diagonal()
    weights = np.empty((n_items, n_items), dtype=np.float32)
    for items in blocks(n_items, n_items):  # the lower triangle holds P
        below = matrix[items.stop :, items]
        weights[items.stop :, items] = below * scale[items]
        weights[items, items.stop :] = below.T * scale[items.stop :]
        corner = np.tril(matrix[items, items], -1)
        weights[items, items] = (corner + corner.T) * scale[items]
    return weights


def _largest_of_columns(weights: np.ndarray, k: int) -> csr_array:
    columns = weights.T
    parts = [largest(csr_array(columns[items]), k) for items in blocks(*columns.shape)]
    return stacked(parts, len(columns)).T.tocsr()


def _check_memory(n_items: int) -> None:
    """Refuse a matrix that would not fit, before the system kills the run."""
    needed, free = 12 * n_items**2, _free_bytes()
    if free is not None and needed > free:
        raise UserError(
            f"EASE holds a dense matrix of {n_items} x {n_items} items, which takes {needed / 2**30:.1f} GiB, and "
            f"{free / 2**30:.1f} GiB are free",
            mend="take SLIM or RP3beta, whose weights are sparse, or filter rare items (`prefiltering`)",
        )


def _free_bytes(meminfo: Path = Path("/proc/meminfo"), group: Path = Path("/sys/fs/cgroup")) -> int | None:
    """What this process can still take, of the machine and of its container; None where neither tells."""
    found = []
    try:
        lines = meminfo.read_text().splitlines()
        found += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    except (OSError, ValueError, IndexError):
        pass
    try:
        limit, used = ((group / name).read_text() for name in ("memory.max", "memory.current"))
        found.append(int(limit) - int(used))
    except (OSError, ValueError):  # no container, or `max`: no limit
        pass
    return min(found, default=None)
