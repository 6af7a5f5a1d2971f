"""iALS: weighted matrix factorisation of implicit feedback by alternating least squares (Hu et al., ICDM 2008).

minimise  sum over all u, i of c_ui (p_ui - x_u . y_i)^2 + reg (sum_u |x_u|^2 + sum_i |y_i|^2)
score(u, i) = x_u . y_i

p_ui = 1 and c_ui = c where u has i in training, p_ui = 0 and c_ui = 1 elsewhere; every rating counting 1,

    linear  c = 1 + alpha                          log  c = 1 + alpha ln(1 + 1 / epsilon)

A sweep (`epochs` of them) moves all x_u with the y_i held, then all y_i with the x_u held, each by three steps of the
conjugate gradient from where it was (Takacs et al., RecSys 2011), in double precision: the work of the package
implicit. Vectors start uniform in [0, 0.01). A user without training rows is solved for exactly.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits
from torch import Tensor

from benchmark.models import base
from benchmark.models.base import Histories, Recommender, Scorer, TrainingData, dot_product_scorer
from benchmark.models.profiles import interactions
from workbench.errors import UserError


class iALS(Recommender):
    """x_u: `user_factors` (U, F); y_i: `item_factors` (I, F)."""

    class Params(base.Params):
        """factors: F. epochs: sweeps. alpha, epsilon, scaling: of the confidence c. reg: weight of the norms."""

        factors: PositiveInt = 10
        epochs: PositiveInt = 15
        alpha: NonNegativeFloat = 1.0
        epsilon: PositiveFloat = 1.0
        reg: PositiveFloat = 0.1
        scaling: Literal["linear", "log"] = "linear"

    without_effect = {"batch_size": "a sweep solves for every user and every item"}

    def __init__(self, params: Params, data: TrainingData) -> None:
        super().__init__()
        self.params = params
        self.data = data
        users, items = (0.01 * torch.rand(count, params.factors).double() for count in (data.n_users, data.n_items))
        with threadpool_limits(1, "blas"):  # implicit has threads of its own
            solver = self._solver()
            solver.user_factors, solver.item_factors = users.numpy(), items.numpy()
            solver.fit(self._confidences(data), show_progress=False)
        self.register_buffer("user_factors", torch.from_numpy(solver.user_factors).float())
        self.register_buffer("item_factors", torch.from_numpy(solver.item_factors).float())

    user_factors: Tensor
    item_factors: Tensor

    def scorer(self) -> Scorer:
        return dot_product_scorer(self.user_factors, self.item_factors)

    def fold_in_scorer(self, histories: Histories) -> Scorer:
        with threadpool_limits(1, "blas"):
            solver = self._solver()
            solver.item_factors = self.item_factors.double().cpu().numpy()
            confidences = self._confidences(histories)
            users = solver.recalculate_user(np.arange(confidences.shape[0]), confidences)
        return dot_product_scorer(torch.from_numpy(users).float().to(self.data.device), self.item_factors)

    def _confidences(self, shown: TrainingData | Histories) -> csr_matrix:
        """c where p is 1."""
        params = self.params
        strength = 1.0 if params.scaling == "linear" else np.log1p(1 / params.epsilon)
        return csr_matrix(interactions(shown, self.data.n_items) * (1 + params.alpha * strength), dtype=np.float32)

    def _solver(self) -> Any:
        try:
            from implicit.cpu.als import AlternatingLeastSquares
        except ImportError as error:
            raise UserError("iALS needs the package implicit", mend="pip install 'bottega[als]'") from error
        return AlternatingLeastSquares(
            factors=self.params.factors,
            regularization=self.params.reg,
            dtype=np.float64,
            iterations=self.params.epochs,
            num_threads=torch.get_num_threads(),
        )
