"""RP3beta: three steps of a random walk, popular items held down (Paudel et al., TiiS 2017; P3alpha: Cooper et al.,
WWW 2014).

w_ij = 1 / d_j^beta  sum over users v of (1 / d_i)^alpha (1 / d_v)^alpha      v having both i and j, i != j
score(u, j) = sum over i that u has of w_ij

d_i, d_v: training interactions of an item, of a user. The walk's first step, from u to an item, is the same for all of
u's items and is left out: it changes no ranking.

Departures from the papers, as in the configurations of Elliot: of each item i the `neighborhood` largest w_ij are kept
(of equal ones the lower number), and `normalize_similarity` makes them sum to 1.
"""

from __future__ import annotations

import numpy as np
from pydantic import NonNegativeFloat, PositiveInt
from scipy.sparse import csr_array, diags_array

from benchmark.models import base
from benchmark.models.base import TrainingData
from benchmark.models.profiles import ItemWeights, blocks, forget_self, largest, row_numbers, stacked


class RP3beta(ItemWeights):
    """`weights` (I, I) sparse: w_ij."""

    class Params(base.Params):
        """neighborhood: w_ij kept of each i. alpha, beta: exponents. normalize_similarity: whether they sum to 1."""

        neighborhood: PositiveInt = 10
        alpha: NonNegativeFloat = 1.0
        beta: NonNegativeFloat = 0.6
        normalize_similarity: bool = False

    without_effect = {"seed": "nothing is drawn"}

    def __init__(self, params: Params, data: TrainingData) -> None:
        super().__init__(params, data)
        self.weights = _walks(self.interactions, params)


def _walks(seen: csr_array, params: RP3beta.Params) -> csr_array:
    users, items = (np.maximum(seen.sum(axis=axis), 1) for axis in (1, 0))  # without interactions there are no entries
    to_users = diags_array(items**-params.alpha).dot(seen.T.tocsr()).tocsr()
    to_items = diags_array(users**-params.alpha).dot(seen).dot(diags_array(items**-params.beta)).tocsr()
    parts = []
    for rows in blocks(len(items), len(items)):
        block = to_users[rows] @ to_items
        forget_self(block, rows.start)
        kept = largest(block, params.neighborhood)
        if params.normalize_similarity:
            kept.data /= kept.sum(axis=1)[row_numbers(kept)]
        parts.append(kept)
    return stacked(parts, len(items))
