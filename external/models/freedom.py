"""FREEDOM: freezing and denoising graph structures (Zhou and Shen, ACM Multimedia 2023).

S = sum_m mw_m S_m       S_m: every item and its k - 1 nearest by the cosine of m's features, edges 1, D^-1/2 . D^-1/2
E = mean over l = 0 .. L_ui of A^l E^(0)        h = S^L e^(0) of the items        item = e_i + h_i

A is D^-1/2 [[0, R], [R^T, 0]] D^-1/2; in training, of a share 1 - `drop` of the interactions, drawn every epoch without
replacement in proportion to 1 / sqrt(d_u d_i), with the degrees of what is left. Scores are those of the whole graph.

score(u, i) = e_u . (e_i + h_i)        p_i^m = W_m f_i^m + b_m

loss = mean over (u, i, j) of -log sigmoid(score(u, i) - score(u, j))
       + l_w sum_m mean over (u, i, j) of -log sigmoid(e_u . p_i^m - e_u . p_j^m)

A triple whose i or j lacks m has no term in the sum for m, though it counts in the mean. S is never trained. Every
training interaction is a triple once an epoch.

Departures: features are frozen and their projections trained, where the published tables trained the features as well
(`compat: trainable_features`); `mw` is used as given and not made to sum to 1 (neither is it in the authors' code).

Cost an epoch: for every batch L_ui products with the sampled graph and L with S, and as many back; the projections of
the items of the batch.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor
from torch.nn.functional import embedding

from benchmark.models.base import DotProductRecommender, TrainingData, TrainingParams
from benchmark.models.graphs import InteractionGraph, SparseMatrix, sample_edges
from benchmark.models.graphs.item_graph import ItemGraphParams, frozen_item_graph
from benchmark.models.layers import Projections, item_weights, mean_of_layers, xavier
from benchmark.models.losses import bpr_loss
from benchmark.models.samplers import EdgeTriples, Triples


class FREEDOM(DotProductRecommender):
    """E^(0): `user_factors` (U, F) over `item_factors` (I, F); W_m, b_m: `projections`; S: `item_graph`."""

    class Params(TrainingParams, ItemGraphParams):
        """factors: F. n_layers: L. n_ui_layers: L_ui. drop: share of the interactions that an epoch leaves out. l_w:
        weight of the modalities' own rankings. compat: see the module."""

        factors: PositiveInt = 64
        n_layers: PositiveInt = 1
        n_ui_layers: PositiveInt = 2
        drop: Annotated[float, Field(ge=0, lt=1)] = 0.8
        l_w: NonNegativeFloat = 1e-2
        compat: Literal["trainable_features"] | None = None

    scores_new_items = True
    without_effect = {"factors_multimod": "projections are as long as `factors`, since users rank both"}

    def __init__(self, params: Params, data: TrainingData) -> None:
        super().__init__()
        self.params, self.data = params, data
        modalities = data.take_modalities(params.wanted)
        self.item_graph = frozen_item_graph(data, modalities, params)
        self.interactions = InteractionGraph.of(data)
        self.adjacency = self.interactions.adjacency()
        self.sampled = self.interactions
        self._sampled_adjacency = self.adjacency
        self.user_factors = xavier(data.n_users, params.factors)
        self.item_factors = item_weights(data, params.factors)
        self.projections = Projections(modalities, params.factors, trainable=params.compat == "trainable_features")

    def sampler(self) -> EdgeTriples:
        return EdgeTriples(self.data)

    def on_epoch_start(self, epoch: int, generator: torch.Generator) -> None:
        kept = sample_edges(self.interactions, 1 - self.params.drop, generator, self.interactions.edge_weights)
        self.sampled = self.interactions.subgraph(kept)
        self._sampled_adjacency = self.sampled.adjacency()

    def propagate(self, adjacency: SparseMatrix) -> tuple[Tensor, Tensor]:
        """Users (U, F) and items (I, F)."""
        nodes = mean_of_layers(adjacency, torch.cat([self.user_factors, self.item_factors]), self.params.n_ui_layers)
        content: Tensor = self.item_factors
        for _ in range(self.params.n_layers):
            content = self.item_graph @ content
        return nodes[: self.data.n_users], nodes[self.data.n_users :] + content

    def vectors(self) -> tuple[Tensor, Tensor]:
        return self.propagate(self.adjacency)

    def loss(self, batch: Triples) -> Tensor:
        users, items = self.propagate(self._sampled_adjacency)
        user = embedding(batch.users, users)
        drawn = torch.cat([batch.positives, batch.negatives])
        positive, negative = embedding(drawn, items).chunk(2)
        total = bpr_loss((user * positive).sum(-1), (user * negative).sum(-1))
        unique, places = torch.unique(drawn, return_inverse=True)  # an item drawn twice is projected once
        for projected, known in zip(self.projections(unique), self.projections.known, strict=True):
            positive, negative = embedding(places, projected).chunk(2)
            both = known[batch.positives] & known[batch.negatives]
            ranking = bpr_loss((user * positive).sum(-1), (user * negative).sum(-1), both)
            total = total + self.params.l_w * ranking
        return total
