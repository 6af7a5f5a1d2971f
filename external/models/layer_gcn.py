"""LayerGCN: layer-refined graph convolution (Zhou et al., ICDE 2023).

X_l = cos(A X_(l-1), E) * (A X_(l-1)), row by row, l = 1 .. L, X_0 = E

z = sum of X_1 .. X_L (without E)        score(u, i) = z_u . z_i

loss = mean over (u, i, j) of -log sigmoid(score(u, i) - score(u, j)) + l_w / (2 B) (|e_u|^2 + |e_i|^2 + |e_j|^2)

Each epoch trains on the graph without a share `drop` of its edges, normalised by the degrees that are left. In epochs
1, 3, .. edges are kept with probabilities in proportion to 1 / sqrt(d_u d_i), in epochs 2, 4, .. with equal ones.
Scores come from all edges.

As in the authors' code the paper's small number that is added to the cosine is left out. The code sums the loss over a
batch, where it is a mean here: the same to Adam.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from benchmark.models.base import DotProductRecommender, TrainingData, TrainingParams
from benchmark.models.graphs import InteractionGraph, SparseMatrix, sample_edges
from benchmark.models.layers import xavier
from benchmark.models.losses import bpr_loss, half_squared_norms
from benchmark.models.samplers import EdgeTriples, Triples


class LayerGCN(DotProductRecommender):
    """E: `embeddings` (U + I, F), users first; A of all edges: `adjacency`, of an epoch: `pruned`."""

    class Params(TrainingParams):
        """factors: F. n_layers: L. l_w: weight of the squared norms of a batch's rows of E. drop: share of edges that
        an epoch goes without."""

        factors: PositiveInt = 64
        n_layers: PositiveInt = 4
        l_w: NonNegativeFloat = 1e-3
        drop: Annotated[float, Field(ge=0, lt=1)] = 0.1

    def __init__(self, params: Params, data: TrainingData) -> None:
        super().__init__()
        self.params, self.data = params, data
        self.graph = InteractionGraph.of(data)
        self.adjacency = self.pruned = self.graph.adjacency()
        self.embeddings = xavier(data.n_users + data.n_items, params.factors)

    def sampler(self) -> EdgeTriples:
        return EdgeTriples(self.data)

    def on_epoch_start(self, epoch: int, generator: torch.Generator) -> None:
        if self.params.drop > 0:
            weights = self.graph.edge_weights if epoch % 2 else None
            kept = sample_edges(self.graph, 1 - self.params.drop, generator, weights)
            self.pruned = self.graph.subgraph(kept).adjacency()

    def propagated(self, adjacency: SparseMatrix) -> Tensor:
        """z (U + I, F)."""
        layers: list[Tensor] = [self.embeddings]
        for _ in range(self.params.n_layers):
            layer = adjacency @ layers[-1]
            layers.append(nn.functional.cosine_similarity(layer, self.embeddings)[:, None] * layer)
        return torch.stack(layers[1:]).sum(dim=0)

    def vectors(self) -> tuple[Tensor, Tensor]:
        nodes = self.propagated(self.adjacency)
        return nodes[: self.data.n_users], nodes[self.data.n_users :]

    def loss(self, batch: Triples) -> Tensor:
        nodes = torch.cat([batch.users, batch.positives + self.data.n_users, batch.negatives + self.data.n_users])
        users, positives, negatives = nn.functional.embedding(nodes, self.propagated(self.pruned)).chunk(3)
        ranking = bpr_loss((users * positives).sum(-1), (users * negatives).sum(-1))
        return ranking + self.params.l_w * half_squared_norms(*nn.functional.embedding(nodes, self.embeddings).chunk(3))
