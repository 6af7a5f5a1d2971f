"""VBPR in its multimodal variant (He & McAuley, AAAI 2016; as benchmarked by Ducho meets Elliot, 2024).

score(u, i) = g_u . g_i + t_u . p_i        p_i = normalise(W f_i + b)        f_i = concatenation of i's modalities

loss = mean over (u, i, j) of -log sigmoid(score(u, i) - score(u, j))
       + l_w / (2 B) (|g_u|^2 + |g_i|^2 + |g_j|^2 + |t_u|^2 + |p_i|^2 + |p_j|^2)

A modality that an item lacks is a part of zeros in f_i; an item that lacks them all has p_i = 0.

Departures of this variant from the paper (followed by OriginalVBPR): no item bias, no visual bias, one projection for
all modalities, projected features normalised to length 1, t_u as long as g_u. The published code left t_u at N(0, 1) by
a slip in its initialisation; here it is Xavier-uniform as intended, and `compat: normal_theta` brings the slip back.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from benchmark.models.base import DotProductRecommender, MultimodalParams, TrainingData, TrainingParams
from benchmark.models.layers import ConcatenatedView, item_weights, xavier
from benchmark.models.losses import bpr_loss, half_squared_norms
from benchmark.models.samplers import Triples, UniformUserTriples


class VBPR(DotProductRecommender):
    """g_u, g_i: `user_factors` (U, F), `item_factors` (I, F); t_u: `user_tastes` (U, F); W, b: `projection` (F, D)."""

    class Params(TrainingParams, MultimodalParams):
        """factors: F. l_w: weight of the squared norms. comb_mod: how modalities are joined. compat: see the module."""

        factors: PositiveInt = 10
        l_w: NonNegativeFloat = 0.1
        comb_mod: Literal["concat"] = "concat"
        compat: Literal["normal_theta"] | None = None

    without_effect = {"n_layers": "VBPR has no layers (the original accepted and ignored it, too)"}
    scores_new_items = True

    def __init__(self, params: Params, data: TrainingData) -> None:
        super().__init__()
        self.params, self.data = params, data
        modalities = data.take_modalities(params.wanted)
        self.user_factors = xavier(data.n_users, params.factors)
        self.item_factors = item_weights(data, params.factors)
        self.user_tastes = nn.Parameter(torch.empty(data.n_users, params.factors))
        (nn.init.normal_ if params.compat == "normal_theta" else nn.init.xavier_uniform_)(self.user_tastes)
        self.projection = ConcatenatedView(modalities, params.factors)

    def sampler(self) -> UniformUserTriples:
        return UniformUserTriples(self.data)

    def vectors(self) -> tuple[Tensor, Tensor]:
        """(U, 2 F) and (I, 2 F)."""
        users = torch.cat([self.user_factors, self.user_tastes], dim=1)
        return users, torch.cat([self.item_factors, self.projection()], dim=1)

    def loss(self, batch: Triples) -> Tensor:
        users = nn.functional.embedding(batch.users, self.user_factors)
        tastes = nn.functional.embedding(batch.users, self.user_tastes)
        positives = nn.functional.embedding(batch.positives, self.item_factors)
        negatives = nn.functional.embedding(batch.negatives, self.item_factors)
        drawn, places = torch.unique(torch.cat([batch.positives, batch.negatives]), return_inverse=True)
        views = self.projection(drawn)  # an item drawn twice is projected once
        positive_views, negative_views = views[places].chunk(2)
        ranking = bpr_loss(
            (users * positives).sum(-1) + (tastes * positive_views).sum(-1),
            (users * negatives).sum(-1) + (tastes * negative_views).sum(-1),
        )
        norms = half_squared_norms(users, positives, negatives, tastes, positive_views, negative_views)
        return ranking + self.params.l_w * norms
