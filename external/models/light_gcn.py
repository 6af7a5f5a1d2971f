"""LightGCN (He et al., SIGIR 2020).

E^(l) = A E^(l-1), l = 1 .. L        A = D^-1/2 [[0, R], [R^T, 0]] D^-1/2        E = mean of E^(0) .. E^(L)

score(u, i) = e_u . e_i

loss = mean over (u, i, j) of -log sigmoid(score(u, i) - score(u, j))
       + l_w / (2 B) (|e_u^(0)|^2 + |e_i^(0)|^2 + |e_j^(0)|^2)

As in the authors' code E^(0) starts at N(0, 0.1^2), and triples are drawn user first. `compat: mmrec` is the variant
behind MMRec's tables: a Xavier-uniform start, every training interaction once an epoch, and for the norms
l_w / B (|E_u| + |E_i| + |E_j|), with the Frobenius norms, not squared, of the batch's rows.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from benchmark.models.base import DotProductRecommender, TrainingData, TrainingParams
from benchmark.models.graphs import InteractionGraph
from benchmark.models.layers import mean_of_layers
from benchmark.models.losses import bpr_loss, frobenius_norms, half_squared_norms
from benchmark.models.samplers import EdgeTriples, Triples, UniformUserTriples


class LightGCN(DotProductRecommender):
    """E^(0): `embeddings` (U + I, F), users first; A: `adjacency`."""

    class Params(TrainingParams):
        """factors: F. n_layers: L. l_w: weight of the norms of a batch's rows of E^(0). compat: see the module."""

        factors: PositiveInt = 64
        n_layers: PositiveInt = 3
        l_w: NonNegativeFloat = 1e-2
        compat: Literal["mmrec"] | None = None

    def __init__(self, params: Params, data: TrainingData) -> None:
        super().__init__()
        self.params, self.data = params, data
        self.adjacency = InteractionGraph.of(data).adjacency()
        self.embeddings = nn.Parameter(0.1 * torch.randn(data.n_users + data.n_items, params.factors))
        if params.compat == "mmrec":
            for table in self.embeddings.split([data.n_users, data.n_items]):
                nn.init.xavier_uniform_(table)

    def sampler(self) -> UniformUserTriples | EdgeTriples:
        return (EdgeTriples if self.params.compat == "mmrec" else UniformUserTriples)(self.data)

    def vectors(self) -> tuple[Tensor, Tensor]:
        nodes = mean_of_layers(self.adjacency, self.embeddings, self.params.n_layers)
        return nodes[: self.data.n_users], nodes[self.data.n_users :]

    def loss(self, batch: Triples) -> Tensor:
        nodes = torch.cat([batch.users, batch.positives + self.data.n_users, batch.negatives + self.data.n_users])
        propagated = mean_of_layers(self.adjacency, self.embeddings, self.params.n_layers)
        users, positives, negatives = nn.functional.embedding(nodes, propagated).chunk(3)
        ranking = bpr_loss((users * positives).sum(-1), (users * negatives).sum(-1))
        norms = frobenius_norms if self.params.compat == "mmrec" else half_squared_norms
        return ranking + self.params.l_w * norms(*nn.functional.embedding(nodes, self.embeddings).chunk(3))
