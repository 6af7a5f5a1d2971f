"""SelfCF: self-supervised collaborative filtering without negatives (Zhou et al., TORS 2023), with embedding dropout.

e = mean of E^(0) .. E^(L), E^(l) = A E^(l-1), as in LightGCN        P(e) = W e + b

score(u, i) = P(e_u) . e_i + e_u . P(e_i)

loss = mean over (u, i) of (1 - cos(P(e_u), dropout(e_i))) / 2 + (1 - cos(P(e_i), dropout(e_u))) / 2
       + l_w / (2 B) (|e_u|^2 + |e_i|^2),        without a gradient through the dropout side

This is SELFCF_ed over LightGCN, one of the paper's three ways to perturb the target. The published code also drops
edges of A in training, at a rate that is drawn uniformly from [0, 1) at every step: `compat: edge_dropout`.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from benchmark.models.base import DotProductRecommender, TrainingData, TrainingParams
from benchmark.models.graphs import InteractionGraph, SparseMatrix
from benchmark.models.layers import mean_of_layers, xavier
from benchmark.models.losses import cosine_bootstrap, half_squared_norms
from benchmark.models.samplers import Pairs, Positives


class SelfCF(DotProductRecommender):
    """E^(0): `embeddings` (U + I, F), users first; A: `adjacency`; P: `predictor`."""

    class Params(TrainingParams):
        """factors: F. n_layers: L. l_w: weight of the squared norms of a batch's e. dropout: of the targets. compat:
        see the module."""

        factors: PositiveInt = 64
        n_layers: PositiveInt = 2
        l_w: NonNegativeFloat = 1e-2
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
        compat: Literal["edge_dropout"] | None = None

    def __init__(self, params: Params, data: TrainingData) -> None:
        super().__init__()
        self.params, self.data = params, data
        self.adjacency = InteractionGraph.of(data).adjacency()
        self.embeddings = xavier(data.n_users + data.n_items, params.factors)
        self.predictor = nn.Linear(params.factors, params.factors)
        self.dropout = nn.Dropout(params.dropout)

    def sampler(self) -> Pairs:
        return Pairs(self.data)

    def vectors(self) -> tuple[Tensor, Tensor]:
        nodes = mean_of_layers(self.adjacency, self.embeddings, self.params.n_layers)
        predicted = self.predictor(nodes)
        users = torch.cat([predicted, nodes], dim=1)[: self.data.n_users]
        items = torch.cat([nodes, predicted], dim=1)[self.data.n_users :]
        return users, items

    def loss(self, batch: Positives) -> Tensor:
        adjacency = self.adjacency
        if self.params.compat == "edge_dropout":
            kept = nn.functional.dropout(adjacency.values, float(torch.rand(())))
            adjacency = SparseMatrix(adjacency.pattern, kept)
        nodes = mean_of_layers(adjacency, self.embeddings, self.params.n_layers)
        users = nn.functional.embedding(batch.users, nodes)
        items = nn.functional.embedding(batch.positives + self.data.n_users, nodes)
        of_users = cosine_bootstrap(self.predictor(users), self.dropout(items))
        of_items = cosine_bootstrap(self.predictor(items), self.dropout(users))
        return (of_users + of_items) / 2 + self.params.l_w * half_squared_norms(users, items)
