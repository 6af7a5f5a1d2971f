"""BPRMF: matrix factorisation under Bayesian personalised ranking (Rendle et al., UAI 2009).

score(u, i) = g_u . g_i

loss = mean over (u, i, j) of -log sigmoid(score(u, i) - score(u, j)) + l_w / (2 B) (|g_u|^2 + |g_i|^2 + |g_j|^2)

As in the published benchmark there are no item biases, both tables start Xavier-uniform, and triples are drawn
user first.
"""

from __future__ import annotations

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from benchmark.models.base import Scorer, TrainedRecommender, TrainingData, TrainingParams, dot_product_scorer
from benchmark.models.losses import bpr_loss, half_squared_norms
from benchmark.models.samplers import Triples, UniformUserTriples


class BPRMF(TrainedRecommender):
    """g_u, g_i: rows of `user_factors` (U, F) and `item_factors` (I, F)."""

    class Params(TrainingParams):
        """factors: F. l_w: weight of the squared norms of a batch's vectors."""

        factors: PositiveInt = 10
        l_w: NonNegativeFloat = 0.1

    def __init__(self, params: Params, data: TrainingData) -> None:
        super().__init__()
        self.params = params
        self.data = data
        self.user_factors = nn.Parameter(nn.init.xavier_uniform_(torch.empty(data.n_users, params.factors)))
        self.item_factors = nn.Parameter(nn.init.xavier_uniform_(torch.empty(data.n_items, params.factors)))

    def sampler(self) -> UniformUserTriples:
        return UniformUserTriples(self.data)

    def loss(self, batch: Triples) -> Tensor:
        users = nn.functional.embedding(batch.users, self.user_factors)
        positives = nn.functional.embedding(batch.positives, self.item_factors)
        negatives = nn.functional.embedding(batch.negatives, self.item_factors)
        ranking = bpr_loss((users * positives).sum(-1), (users * negatives).sum(-1))
        return ranking + self.params.l_w * half_squared_norms(users, positives, negatives)

    def scorer(self) -> Scorer:
        return dot_product_scorer(self.user_factors, self.item_factors)
