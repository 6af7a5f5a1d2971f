"""LATTICE: latent structure mining (Zhang et al., ACM Multimedia 2021).

N(S) = D^-1/2 S D^-1/2        S_m = N(every item and its k - 1 nearest, weighted by max(0, cosine of x^m))
z_i^m = W_m x_i^m + b_m       L_m = N(every item and its k - 1 nearest, weighted by max(0, cosine of z^m))

A = sum_m w_m (l_m S_m + (1 - l_m) L_m)        w = softmax of a trained weight a modality
h = A^L e^(0) of the items        E = mean over l = 0 .. L_ui of B^l E^(0)        B = N([[0, R], [R^T, 0]])

score(u, i) = e_u . (e_i + h_i / |h_i|) = user . item

loss = mean over (u, i, j) of -log sigmoid(score(u, i) - score(u, j)) + l_w / (2 B) (|user|^2 + |item_i|^2 + |item_j|^2)

Which items are the nearest by z^m is found at the start of an epoch, and anew when scores are asked for; the weights of
these edges are of the present W_m in every step.

Departures from the authors' code: there W_m has a gradient in the first batch of an epoch only, and L_m is a constant
in the others; as in the paper each L_m is normalised by itself, and not their sum. Every training interaction is a
triple once an epoch. Features are frozen and W_m trained, where the published tables trained the features as well
(`compat: trainable_features`). `compat: elliot` does so, too, and propagates as Elliot's LATTICE: B is
D^-1 (R' + 1) D^-1 with R' = [[0, R], [R^T, 0]], the rows of the layers after the first have length 1, and the users of
a batch are distinct.

Cost an epoch: once the cosines of all pairs of items, in blocks; for every batch the projections of all items (small
next to the rest for hundreds of dimensions, and not for thousands), I k cosines a modality, L_ui products with B, 2 L a
modality with item graphs, and as many back.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import AliasChoices, Field, NonNegativeFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import embedding, normalize

from benchmark.models.base import DotProductRecommender, MultimodalParams, TrainingData, TrainingParams
from benchmark.models.graphs import (
    InteractionGraph,
    SparseMatrix,
    cosine_neighbours,
    inner_products,
    neighbour_graph,
    normalised,
)
from benchmark.models.graphs.neighbours import self_and_neighbours
from benchmark.models.graphs.sparse import Pattern
from benchmark.models.layers import Projections, item_weights, mean_of_layers, xavier
from benchmark.models.losses import bpr_loss, half_squared_norms
from benchmark.models.samplers import DistinctUserTriples, EdgeTriples, Triples
from benchmark.training.settings import LearningRateSchedule


class LATTICE(DotProductRecommender):
    """E^(0): `user_factors` (U, F) over `item_factors` (I, F); W_m, b_m: `projections`; w: `modality_weights`; B:
    `adjacency`; S_m: `initial`."""

    class Params(TrainingParams, MultimodalParams):
        """factors: F. factors_multimod: length of z. n_layers: L. n_ui_layers: L_ui. top_k: k. l_m: share of S_m in A.
        l_w: weight of the squared norms of a batch's vectors. compat: see the module."""

        factors: PositiveInt = 64
        factors_multimod: PositiveInt = 64
        n_layers: PositiveInt = 1
        n_ui_layers: PositiveInt = 2
        top_k: PositiveInt = 20
        l_m: Annotated[float, Field(ge=0, le=1)] = 0.7
        l_w: NonNegativeFloat = 1e-2
        lr_schedule: LearningRateSchedule | None = Field(
            default=LearningRateSchedule(shape="exponential", gamma=0.96, every=50),
            validation_alias=AliasChoices("lr_schedule", "lr_sched"),
        )
        compat: Literal["trainable_features", "elliot"] | None = None

    scores_new_items = True

    def __init__(self, params: Params, data: TrainingData) -> None:
        super().__init__()
        self.params, self.data = params, data
        modalities = data.take_modalities(params.wanted)
        graph = InteractionGraph.of(data)
        self.adjacency = _doubly_divided(graph) if params.compat == "elliot" else graph.adjacency()
        self.initial = [neighbour_graph(data, each, params.top_k, "cosine") for each in modalities.values()]
        self.user_factors = xavier(data.n_users, params.factors)
        self.item_factors = item_weights(data, params.factors)
        self.projections = Projections(modalities, params.factors_multimod, trainable=params.compat is not None)
        self.modality_weights = nn.Parameter(torch.zeros(len(modalities)))
        self._nearest: list[Pattern] = []

    def sampler(self) -> EdgeTriples | DistinctUserTriples:
        return (DistinctUserTriples if self.params.compat == "elliot" else EdgeTriples)(self.data)

    def on_epoch_start(self, epoch: int, generator: torch.Generator) -> None:
        self._nearest = self.nearest()

    @torch.no_grad()
    def nearest(self) -> list[Pattern]:
        """Where each L_m has its entries, under the present weights."""
        found = []
        for projected, known in zip(self.projections(), self.projections.known, strict=True):
            items, similarities = cosine_neighbours(projected, known, self.params.top_k - 1)
            found.append(self_and_neighbours(items, similarities, known).pattern)
        return found

    def learned(self, nearest: list[Pattern]) -> list[SparseMatrix]:
        """L_m (I, I), with gradients to W_m."""
        directions = [normalize(projected, dim=-1) for projected in self.projections()]
        cosines = [inner_products(pattern, z, z) for pattern, z in zip(nearest, directions, strict=True)]
        weighted = zip(nearest, cosines, strict=True)
        return [normalised(SparseMatrix(pattern, values.clamp(min=0))) for pattern, values in weighted]

    def propagate(self, nearest: list[Pattern]) -> tuple[Tensor, Tensor]:
        """Users (U, F) and items (I, F)."""
        shares = self.modality_weights.softmax(0)
        mix = torch.cat([self.params.l_m * shares, (1 - self.params.l_m) * shares])
        graphs = [*self.initial, *self.learned(nearest)]
        content: Tensor = self.item_factors
        with torch.autocast(content.device.type, enabled=False):  # rows of zeros are divided by their lengths below
            for _ in range(self.params.n_layers):
                content = torch.tensordot(mix, torch.stack([graph @ content for graph in graphs]), 1)
        nodes = torch.cat([self.user_factors, self.item_factors])
        if self.params.compat == "elliot":
            nodes = _mean_of_directions(self.adjacency, nodes, self.params.n_ui_layers)
        else:
            nodes = mean_of_layers(self.adjacency, nodes, self.params.n_ui_layers)
        return nodes[: self.data.n_users], nodes[self.data.n_users :] + normalize(content, dim=-1)

    def vectors(self) -> tuple[Tensor, Tensor]:
        return self.propagate(self.nearest())

    def loss(self, batch: Triples) -> Tensor:
        users, items = self.propagate(self._nearest or self.nearest())
        user = embedding(batch.users, users)
        positive, negative = embedding(torch.cat([batch.positives, batch.negatives]), items).chunk(2)
        ranking = bpr_loss((user * positive).sum(-1), (user * negative).sum(-1))
        return ranking + self.params.l_w * half_squared_norms(user, positive, negative)


def _doubly_divided(graph: InteractionGraph) -> SparseMatrix:
    """D^-1 (R' + 1) D^-1, D the degrees of R' + 1."""
    adjacency = graph.adjacency(normalisation=None, self_loops=True)
    reciprocal = 1 / adjacency.row_sums()
    return adjacency.scaled(reciprocal, reciprocal)


def _mean_of_directions(adjacency: SparseMatrix, nodes: Tensor, n_layers: int) -> Tensor:
    """The mean of X and of the rows of B X, B^2 X, ..., each divided by its length."""
    total = layer = nodes
    for _ in range(n_layers):
        layer = adjacency @ layer
        total = total + normalize(layer, dim=-1)
    return total / (n_layers + 1)
