"""VBPR as its authors published it (He & McAuley, AAAI 2016).

score(u, i) = b_i + g_u . g_i + t_u . (E f_i) + b' . f_i        f_i = concatenation of i's modalities

loss = mean over (u, i, j) of -log sigmoid(score(u, i) - score(u, j))
       + l_w / (2 B) (|g_u|^2 + |g_i|^2 + |g_j|^2 + |t_u|^2) + l_b / (2 B) (b_i^2 + b_j^2) + l_e / 2 (|E|^2 + |b'|^2)

E and b' map zeros to zeros, so an item that lacks a modality is scored by the others alone. Each modality is divided by
one number, the root mean square length of its rows: E and b' could undo that, but the optimiser then meets features of
any scale at the same step size.

Departures: the global offset and the user bias are left out, because they cancel in the loss and in every ranking; f_i
may hold more than pictures; one weight l_e for E and b'; trained in batches of Adam, not by single steps.
"""

from __future__ import annotations

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from benchmark.models.base import DotProductRecommender, Features, MultimodalParams, TrainingData, TrainingParams
from benchmark.models.layers import item_weights, xavier
from benchmark.models.losses import bpr_loss, half_squared_norms
from benchmark.models.samplers import Triples, UniformUserTriples


class OriginalVBPR(DotProductRecommender):
    """g_u, g_i: `user_factors` (U, F), `item_factors` (I, F); b_i: `item_biases` (I,); t_u: `user_tastes` (U, K);
    E: `embedding` (D, K); b': `feature_bias` (D, 1)."""

    class Params(TrainingParams, MultimodalParams):
        """factors: F. factors_d: K. l_w, l_b, l_e: weights of the squared norms of vectors, of biases, of E and b'."""

        factors: PositiveInt = 10
        factors_d: PositiveInt = 20
        l_w: NonNegativeFloat = 0.1
        l_b: NonNegativeFloat = 0.01
        l_e: NonNegativeFloat = 0.01

    scores_new_items = True

    def __init__(self, params: Params, data: TrainingData) -> None:
        super().__init__()
        self.params, self.data = params, data
        modalities = data.take_modalities(params.wanted).values()
        self.features = torch.cat([_of_unit_length(each) for each in modalities], dim=1)
        self.user_factors = xavier(data.n_users, params.factors)
        self.item_factors = item_weights(data, params.factors)
        self.item_biases = nn.Parameter(torch.zeros(data.n_items))
        self.user_tastes = xavier(data.n_users, params.factors_d)
        self.embedding = xavier(self.features.shape[1], params.factors_d)
        self.feature_bias = xavier(self.features.shape[1], 1)

    def sampler(self) -> UniformUserTriples:
        return UniformUserTriples(self.data)

    def project(self, features: Tensor) -> Tensor:
        """(B, K + 1) of features (B, D): E f, and b' . f as the last column."""
        return features @ torch.cat([self.embedding, self.feature_bias], dim=1)

    def vectors(self) -> tuple[Tensor, Tensor]:
        """(U, F + K + 1) and (I, F + K + 1), the last column of users being 1."""
        views = self.project(self.features)
        views = torch.cat([views[:, :-1], views[:, -1:] + self.item_biases[:, None]], dim=1)
        ones = self.user_factors.new_ones(self.data.n_users, 1)
        return torch.cat([self.user_factors, self.user_tastes, ones], 1), torch.cat([self.item_factors, views], 1)

    def loss(self, batch: Triples) -> Tensor:
        embedding = nn.functional.embedding
        users, tastes = embedding(batch.users, self.user_factors), embedding(batch.users, self.user_tastes)
        drawn, places = torch.unique(torch.cat([batch.positives, batch.negatives]), return_inverse=True)
        views = embedding(places, self.project(self.features[drawn])).chunk(2)  # an item drawn twice is projected once
        factors = [embedding(items, self.item_factors) for items in batch[1:]]
        biases = [embedding(items, self.item_biases[:, None]).squeeze(-1) for items in batch[1:]]
        positive, negative = (
            bias + (users * vector).sum(-1) + (tastes * view[:, :-1]).sum(-1) + view[:, -1]
            for bias, vector, view in zip(biases, factors, views, strict=True)
        )
        params = self.params
        return (
            bpr_loss(positive, negative)
            + params.l_w * half_squared_norms(users, tastes, *factors)
            + params.l_b * half_squared_norms(*biases)
            + params.l_e / 2 * (self.embedding.square().sum() + self.feature_bias.square().sum())
        )


def _of_unit_length(features: Features) -> Tensor:
    """(I, D), scaled so that the mean squared length of the rows of items that have them is 1."""
    values = features.values * features.known[:, None]
    mean_square = values.square().sum() / features.known.sum().clamp(min=1)
    return values / mean_square.clamp(min=torch.finfo(values.dtype).tiny).sqrt()
