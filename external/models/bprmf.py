"""BPRMF: matrix factorisation under Bayesian personalised ranking (Rendle et al., UAI 2009).

score(u, i) = g_u . g_i

loss = mean over (u, i, j) of -log sigmoid(score(u, i) - score(u, j)) + l_w / (2 B) (|g_u|^2 + |g_i|^2 + |g_j|^2)

As in the published benchmark there are no item biases, both tables start Xavier-uniform, and triples are drawn
user first. `compat: mmrec` is the variant behind MMRec's tables: a Xavier-normal start, every training interaction
once an epoch, and for the norms l_w / B (|G_u| + |G_i| + |G_j|), with the Frobenius norms, not squared, of the batch.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from benchmark.models.base import DotProductRecommender, TrainingData, TrainingParams
from benchmark.models.losses import bpr_loss, frobenius_norms, half_squared_norms
from benchmark.models.samplers import EdgeTriples, Triples, UniformUserTriples


class BPRMF(DotProductRecommender):
    """g_u, g_i: rows of `user_factors` (U, F) and `item_factors` (I, F)."""

    class Params(TrainingParams):
        """factors: F. l_w: weight of the norms of a batch's vectors. compat: see the module."""

        factors: PositiveInt = 10
        l_w: NonNegativeFloat = 0.1
        compat: Literal["mmrec"] | None = None

    def __init__(self, params: Params, data: TrainingData) -> None:
        super().__init__()
        self.params = params
        self.data = data
        start = nn.init.xavier_normal_ if params.compat == "mmrec" else nn.init.xavier_uniform_
        self.user_factors = nn.Parameter(start(torch.empty(data.n_users, params.factors)))
        self.item_factors = nn.Parameter(start(torch.empty(data.n_items, params.factors)))

    def sampler(self) -> UniformUserTriples | EdgeTriples:
        return (EdgeTriples if self.params.compat == "mmrec" else UniformUserTriples)(self.data)

    def vectors(self) -> tuple[Tensor, Tensor]:
        return self.user_factors, self.item_factors

    def loss(self, batch: Triples) -> Tensor:
        users = nn.functional.embedding(batch.users, self.user_factors)
        positives = nn.functional.embedding(batch.positives, self.item_factors)
        negatives = nn.functional.embedding(batch.negatives, self.item_factors)
        ranking = bpr_loss((users * positives).sum(-1), (users * negatives).sum(-1))
        norms = frobenius_norms if self.params.compat == "mmrec" else half_squared_norms
        return ranking + self.params.l_w * norms(users, positives, negatives)
