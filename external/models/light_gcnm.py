"""LightGCNM: LightGCN (He et al., SIGIR 2020) whose items start as their features, as Elliot's authors defined it.

e_i^(0) = concatenation, mean or sum over the modalities m of  normalise(W_m f_im + b_m)        e_u^(0): trained

E^(l) = A E^(l-1), l = 1 .. L        A = D^-1/2 [[0, R], [R^T, 0]] D^-1/2        E = mean of E^(0) .. E^(L)

score(u, i) = e_u . e_i

loss = mean over (u, i, j) of -log sigmoid(score(u, i) - score(u, j))
       + l_w / (2 B) (|e_u^(0)|^2 + |e_i^(0)|^2 + |e_j^(0)|^2)

A modality that an item lacks is a vector of zeros, and no part of the mean; an item without any has e_i^(0) = 0.

Departures from the published code: features are not trained; the squared norms are those of layer 0, as in LightGCN,
not those of propagated items.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from benchmark.models.base import DotProductRecommender, MultimodalParams, TrainingData, TrainingParams
from benchmark.models.graphs import InteractionGraph
from benchmark.models.layers import Projections, mean_of_layers, xavier
from benchmark.models.losses import bpr_loss, half_squared_norms
from benchmark.models.samplers import Triples, UniformUserTriples


class LightGCNM(DotProductRecommender):
    """e_u^(0): `user_factors` (U, F), or (U, M F) under `concat`; W_m, b_m: `projections`; A: `adjacency`."""

    class Params(TrainingParams, MultimodalParams):
        """factors: F. n_layers: L. l_w: weight of the squared norms of a batch's rows of E^(0).

        aggregation: how the modalities of an item are joined.
        """

        factors: PositiveInt = 64
        n_layers: PositiveInt = 3
        l_w: NonNegativeFloat = 1e-2
        aggregation: Literal["concat", "mean", "sum"] = "concat"

    scores_new_items = True

    def __init__(self, params: Params, data: TrainingData) -> None:
        super().__init__()
        self.params, self.data = params, data
        self.adjacency = InteractionGraph.of(data).adjacency()
        self.projections = Projections(data.take_modalities(params.wanted), params.factors)
        self.n_known = torch.stack(self.projections.known).sum(dim=0)
        width = params.factors * (len(self.projections) if params.aggregation == "concat" else 1)
        self.user_factors = xavier(data.n_users, width)

    def sampler(self) -> UniformUserTriples:
        return UniformUserTriples(self.data)

    def nodes(self) -> Tensor:
        """E^(0) (U + I, F) or (U + I, M F)."""
        views = [nn.functional.normalize(view) for view in self.projections()]
        items = torch.cat(views, dim=1) if self.params.aggregation == "concat" else torch.stack(views).sum(dim=0)
        if self.params.aggregation == "mean":
            items = items / self.n_known.clamp(min=1)[:, None]
        return torch.cat([self.user_factors, items])

    def vectors(self) -> tuple[Tensor, Tensor]:
        propagated = mean_of_layers(self.adjacency, self.nodes(), self.params.n_layers)
        return propagated[: self.data.n_users], propagated[self.data.n_users :]

    def loss(self, batch: Triples) -> Tensor:
        drawn = torch.cat([batch.users, batch.positives + self.data.n_users, batch.negatives + self.data.n_users])
        start = self.nodes()
        propagated = mean_of_layers(self.adjacency, start, self.params.n_layers)
        users, positives, negatives = nn.functional.embedding(drawn, propagated).chunk(3)
        ranking = bpr_loss((users * positives).sum(-1), (users * negatives).sum(-1))
        return ranking + self.params.l_w * half_squared_norms(*nn.functional.embedding(drawn, start).chunk(3))
