"""SLIM: a sparse item-item regression (Ning and Karypis, ICDM 2011).

For every item j, over all w >= 0 with w_j = 0:

minimise 1 / (2 U) |r_j - R w|^2 + alpha l1_ratio |w|_1 + alpha (1 - l1_ratio) / 2 |w|^2
score(u, j) = r_u W_.j      W_.j: the w of item j

R (U, I) binary, users without training rows left out, r_j its column j. Solved by scikit-learn's coordinate descent. As
R and w are not negative, the slope at w_k = 0 is at least alpha l1_ratio - (r_k . r_j) / U; where that is not negative,
w_k = 0 in the minimum. So only items with more than alpha l1_ratio U users in common with j are given to the solver,
and nothing is lost.

Departure from the paper, as in the configurations of Elliot: the weights are called by scikit-learn's names, and of
each w the `neighborhood` largest entries are kept (of equal ones the lower number).
"""

from __future__ import annotations

import warnings
from typing import Annotated

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt
from scipy.sparse import csc_array, csr_array
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import enet_path

from benchmark.models import base
from benchmark.models.base import TrainingData
from benchmark.models.profiles import ItemWeights, blocks, forget_self, largest, stacked

_SWEEPS, _TOLERANCE = 1000, 1e-8  # a few dozen sweeps are usual, even for so small a relative duality gap


class SLIM(ItemWeights):
    """W: `weights` (I, I) sparse."""

    class Params(base.Params):
        """alpha: weight of both norms. l1_ratio: share of the first. neighborhood: entries kept of each column."""

        l1_ratio: Annotated[float, Field(ge=0, le=1)] = 0.001
        alpha: PositiveFloat = 0.001
        neighborhood: PositiveInt = 10

    without_effect = {"seed": "nothing is drawn"}

    def __init__(self, params: Params, data: TrainingData) -> None:
        super().__init__(params, data)
        with warnings.catch_warnings(), config_context(skip_parameter_validation=True):  # it takes longer than a solve
            warnings.simplefilter("ignore", ConvergenceWarning)  # they are counted
            self.weights = _regressions(self.interactions, params)


def _regressions(seen: csr_array, params: SLIM.Params) -> csr_array:
    """W, one column at a time: a solve works on a problem of its own and takes longer than the loop around it."""
    seen = seen[np.diff(seen.indptr) > 0]
    n_users, n_items = seen.shape
    threshold = params.alpha * params.l1_ratio * n_users
    columns, users_of = seen.tocsc(), seen.T.tocsr()
    parts, unfinished = [], 0
    for items in blocks(n_items, n_items):
        shared = users_of[items] @ seen
        forget_self(shared, items.start)
        shared.data[shared.data <= threshold] = 0
        shared.eliminate_zeros()
        shared.sort_indices()
        for row in range(shared.shape[0]):
            places = slice(shared.indptr[row], shared.indptr[row + 1])
            shared.data[places], sweeps = _solve(columns, shared.indices[places], items.start + row, params)
            unfinished += sweeps >= _SWEEPS
        parts.append(largest(shared, params.neighborhood))
    if unfinished:
        from loguru import logger  # not above: the module travels to workers by value, and open streams do not

        logger.warning("SLIM: {} of {} columns had not converged after {} sweeps", unfinished, n_items, _SWEEPS)
    return stacked(parts, n_items).T.tocsr()


def _solve(columns: csc_array, others: np.ndarray, target: int, params: SLIM.Params) -> tuple[np.ndarray, int]:
    """The weights of the other items, and the sweeps that they took."""
    if not len(others):
        return np.zeros(0), 0
    part = columns[:, others]
    part = csc_array((part.data, part.indices.astype(np.int32), part.indptr.astype(np.int32)), shape=part.shape)
    wanted = np.zeros(columns.shape[0])
    wanted[columns.indices[columns.indptr[target] : columns.indptr[target + 1]]] = 1
    _, weights, _, sweeps = enet_path(
        part,
        wanted,
        l1_ratio=params.l1_ratio,
        alphas=[params.alpha],
        precompute=False,
        positive=True,
        check_input=False,
        tol=_TOLERANCE,
        max_iter=_SWEEPS,
        return_n_iter=True,
    )
    return weights[:, 0], sweeps[0]
