"""PureSVD: the best approximation of R of rank `factors`, missing entries being 0 (Cremonesi et al., RecSys 2010).

R ~ P S Q^T      score(u, i) = r_u Q q_i        r_u: row of R, q_i: row of Q

R (U, I) is binary. Q (I, F): the right singular vectors of the F largest singular values, by Lanczos iteration (ARPACK)
to machine precision from a fixed vector, so nothing is drawn. A user is no more than r_u, and so is one who was never
seen in training.
"""

from __future__ import annotations

import numpy as np
import torch
from pydantic import PositiveInt
from scipy.sparse import csr_array
from scipy.sparse.linalg import svds
from torch import Tensor

from benchmark.models import base
from benchmark.models.base import Histories, Recommender, Scorer, TrainingData, dot_product_scorer
from benchmark.models.profiles import interactions
from workbench.errors import UserError


class PureSVD(Recommender):
    """R Q: `user_factors` (U, F); Q: `item_factors` (I, F)."""

    class Params(base.Params):
        """factors: F."""

        factors: PositiveInt = 10

    without_effect = {"seed": "nothing is drawn"}

    def __init__(self, params: Params, data: TrainingData) -> None:
        super().__init__()
        self.params = params
        self.data = data
        seen = interactions(data, data.n_items)
        if params.factors >= min(seen.shape):
            raise UserError(
                f"PureSVD wants fewer factors than users and items, and {params.factors} were asked for of "
                f"{seen.shape[0]} users and {seen.shape[1]} items",
                mend=f"set `factors` to at most {min(seen.shape) - 1}",
            )
        start = np.random.default_rng(0).standard_normal(min(seen.shape))
        _, values, vectors = svds(seen, params.factors, v0=start, return_singular_vectors="vh")
        strong_first = np.ascontiguousarray(vectors[np.argsort(-values)].T, dtype=np.float32)
        self.register_buffer("item_factors", torch.from_numpy(strong_first))
        self.register_buffer("user_factors", self._projected(seen))

    item_factors: Tensor
    user_factors: Tensor

    def scorer(self) -> Scorer:
        return dot_product_scorer(self.user_factors, self.item_factors)

    def fold_in_scorer(self, histories: Histories) -> Scorer:
        users = self._projected(interactions(histories, self.data.n_items)).to(self.data.device)
        return dot_product_scorer(users, self.item_factors)

    def _projected(self, seen: csr_array) -> Tensor:
        """Rows of R (B, I) as vectors (B, F)."""
        return torch.from_numpy(seen.astype(np.float32) @ self.item_factors.cpu().numpy())
