"""SGL: self-supervised graph learning (Wu et al., SIGIR 2021).

z = mean of E^(0) .. E^(L), E^(l) = A E^(l-1), as in LightGCN; score(u, i) = z_u . z_i

Two views z', z'' of every node come from the same propagation of E^(0) over parts of the graph, normalised by their own
degrees and drawn anew each epoch. With probability ssl_ratio,
    nd  a node is left out with all of its edges
    ed  an edge is left out
    rw  an edge is left out, for every layer other ones (a random walk)

loss = mean over (u, i, j) of -log sigmoid(score(u, i) - score(u, j))
       + ssl_reg (InfoNCE of u + InfoNCE of i)
       + l_w / (2 B) (|e_u^(0)|^2 + |e_i^(0)|^2 + |e_j^(0)|^2)

InfoNCE of u = mean over u of -log(exp(cos(z'_u, z''_u) / t) / sum over all users v of exp(cos(z'_u, z''_v) / t)),
and of i alike over all items; t = ssl_temp.

The paper's sums over a batch are means here, all three alike, which is the same to Adam. The authors' code leaves out
an exact share of nodes or edges, not each with a probability.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from benchmark.models.base import DotProductRecommender, TrainingData
from benchmark.models.contrastive import ContrastiveParams
from benchmark.models.graphs import InteractionGraph, SparseMatrix
from benchmark.models.layers import xavier
from benchmark.models.losses import bpr_loss, half_squared_norms, info_nce
from benchmark.models.samplers import Triples, UniformUserTriples


class SGL(DotProductRecommender):
    """E^(0): `embeddings` (U + I, F), users first; A: `graph`; of the two views, A of each layer: `views`."""

    class Params(ContrastiveParams):
        """factors: F. n_layers: L. l_w: weight of the squared norms of a batch's rows of E^(0). ssl_*, sampling: see
        the module."""

        factors: PositiveInt = 64
        n_layers: PositiveInt = 3
        l_w: NonNegativeFloat = 1e-4
        ssl_temp: PositiveFloat = 0.2
        ssl_reg: NonNegativeFloat = 0.1
        ssl_ratio: Annotated[float, Field(ge=0, lt=1)] = 0.1
        sampling: Literal["nd", "ed", "rw"] = "ed"

    def __init__(self, params: Params, data: TrainingData) -> None:
        super().__init__()
        self.params, self.data = params, data
        self.graph = InteractionGraph.of(data)
        self.whole = [self.graph.adjacency()] * params.n_layers
        self.views = [self.whole, self.whole]
        self.embeddings = xavier(data.n_users + data.n_items, params.factors)

    def sampler(self) -> UniformUserTriples:
        return UniformUserTriples(self.data)

    def on_epoch_start(self, epoch: int, generator: torch.Generator) -> None:
        self.views = [self._view(generator), self._view(generator)]

    def _view(self, generator: torch.Generator) -> list[SparseMatrix]:
        def kept(count: int) -> Tensor:
            return torch.rand(count, generator=generator, device=generator.device) >= self.params.ssl_ratio

        layers = self.params.n_layers
        if self.params.sampling == "rw":
            return [self.graph.subgraph(kept(len(self.graph))).adjacency() for _ in range(layers)]
        if self.params.sampling == "ed":
            edges = kept(len(self.graph))
        else:
            edges = kept(self.data.n_users)[self.graph.users] & kept(self.data.n_items)[self.graph.items]
        return [self.graph.subgraph(edges).adjacency()] * layers

    def propagated(self, adjacencies: Sequence[SparseMatrix]) -> tuple[Tensor, Tensor]:
        """z of users (U, F) and items (I, F), over the adjacency of each layer."""
        total: Tensor = self.embeddings
        layer = total
        for adjacency in adjacencies:
            layer = adjacency @ layer
            total = total + layer
        users, items = (total / (1 + len(adjacencies))).split([self.data.n_users, self.data.n_items])
        return users, items

    def vectors(self) -> tuple[Tensor, Tensor]:
        return self.propagated(self.whole)

    def loss(self, batch: Triples) -> Tensor:
        gather = nn.functional.embedding
        users, items = self.propagated(self.whole)
        drawn = gather(batch.users, users)
        positive, negative = ((drawn * gather(each, items)).sum(-1) for each in (batch.positives, batch.negatives))
        (users, items), (other_users, other_items) = map(self.propagated, self.views)
        contrast = self._contrast(batch.users, users, other_users) + self._contrast(batch.positives, items, other_items)
        nodes = torch.cat([batch.users, batch.positives + self.data.n_users, batch.negatives + self.data.n_users])
        norms = half_squared_norms(*gather(nodes, self.embeddings).chunk(3))
        return bpr_loss(positive, negative) + self.params.ssl_reg * contrast + self.params.l_w * norms

    def _contrast(self, drawn: Tensor, one: Tensor, other: Tensor) -> Tensor:
        """InfoNCE between two views (N, F) of the drawn nodes (B,), against the other view of all N."""
        anchors, positives = nn.functional.embedding(drawn, one), nn.functional.embedding(drawn, other)
        return info_nce(anchors, positives, self.params.ssl_temp, other)
