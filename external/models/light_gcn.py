"""LightGCN (He et al., SIGIR 2020).

E^(l) = A E^(l-1), l = 1 .. L        A = D^-1/2 [[0, R], [R^T, 0]] D^-1/2        E = mean of E^(0) .. E^(L)

score(u, i) = e_u . e_i

loss = mean over (u, i, j) of -log sigmoid(score(u, i) - score(u, j))
       + l_w / (2 B) (|e_u^(0)|^2 + |e_i^(0)|^2 + |e_j^(0)|^2)

As in the authors' code E^(0) starts at N(0, 0.1^2), and triples are drawn user first.
"""

from __future__ import annotations

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from benchmark.models.base import DotProductRecommender, TrainingData, TrainingParams
from benchmark.models.graphs import InteractionGraph
from benchmark.models.layers import mean_of_layers
from benchmark.models.losses import bpr_loss, half_squared_norms
from benchmark.models.samplers import Triples, UniformUserTriples


class LightGCN(DotProductRecommender):
    """E^(0): `embeddings` (U + I, F), users first; A: `adjacency`."""

    class Params(TrainingParams):
        """factors: F. n_layers: L. l_w: weight of the squared norms of a batch's rows of E^(0)."""

        factors: PositiveInt = 64
        n_layers: PositiveInt = 3
        l_w: NonNegativeFloat = 1e-2

    def __init__(self, params: Params, data: TrainingData) -> None:
        super().__init__()
        self.params, self.data = params, data
        self.adjacency = InteractionGraph.of(data).adjacency()
        self.embeddings = nn.Parameter(0.1 * torch.randn(data.n_users + data.n_items, params.factors))

    def sampler(self) -> UniformUserTriples:
        return UniformUserTriples(self.data)

    def vectors(self) -> tuple[Tensor, Tensor]:
        nodes = mean_of_layers(self.adjacency, self.embeddings, self.params.n_layers)
        return nodes[: self.data.n_users], nodes[self.data.n_users :]

    def loss(self, batch: Triples) -> Tensor:
        nodes = torch.cat([batch.users, batch.positives + self.data.n_users, batch.negatives + self.data.n_users])
        propagated = mean_of_layers(self.adjacency, self.embeddings, self.params.n_layers)
        users, positives, negatives = nn.functional.embedding(nodes, propagated).chunk(3)
        ranking = bpr_loss((users * positives).sum(-1), (users * negatives).sum(-1))
        return ranking + self.params.l_w * half_squared_norms(*nn.functional.embedding(nodes, self.embeddings).chunk(3))
