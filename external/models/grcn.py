"""GRCN: graph-refined convolution (Wei et al., MM 2020).

Prototypes. For each modality m, items v_i = normalise(act(W f_i + b)), and users who begin at normalise(P_u) and go
T times through the items N(u) that they have and that have the modality:

    u <- normalise(u + sum over i in N(u) of a_ui v_i)        a_ui = softmax over N(u) of u . v_i

Edges. In both directions, from the sender k to the receiver n, the affinity of the two ends among all edges of n,
a_m = softmax over n's neighbours of u . v_i; they are joined over the modalities to the weight of the edge

    confid:  relu( max over m of c_km a_m ), c_k how far each modality is to be trusted with k      max, mean: of a_m

Convolution. x^(0) = normalise(id), x^(l) = S x^(l-1) with these weights S, x = x^(0) + ... + x^(L).

score(u, i) = e_u . e_i, e the concatenation of x and of the vectors of all modalities, or their mean, or x alone

loss = mean over (u, i, j) of -log sigmoid(score(u, i) - score(u, j))
       + l_w (mean of the squared entries of id_u, id_i, id_j + sum over m of that of P_u)

act = LeakyReLU. An item that lacks a modality has v_i = 0 there: it moves no prototype, and its affinity is 0.

Choices of ours: c starts at 1, so that relu prunes only what training turned against; ids are scaled to length 1, like
the vectors of the modalities. Departures from published code: P is regularised by l_w, where it was by 1
(`compat: full_preference_weight`); scores are of the present weights (they were a step old).
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import AliasChoices, Field, NonNegativeFloat, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn import functional

from benchmark.models.base import DotProductRecommender, MultimodalParams, TrainingData, TrainingParams
from benchmark.models.graphs import InteractionGraph, SparseMatrix, inner_products, softmax_by_row
from benchmark.models.graphs.sparse import Pattern
from benchmark.models.layers import Projections, node_weights, xavier
from benchmark.models.losses import bpr_loss, mean_squares
from benchmark.models.samplers import EdgeTriples, Triples


class GRCN(DotProductRecommender):
    """id: `ids` (U + I, F); P: `preferences`, (U, C) a modality; W, b: `projections`; c: `confidences` (U + I, M)."""

    class Params(TrainingParams, MultimodalParams):
        """factors: F. factors_multimod: C. num_layers: L. num_routings: T. l_w: weight of the regulariser.

        weight_mode: how the modalities' affinities become one weight. pruning: whether relu is taken of it.
        has_act: whether LeakyReLU is taken of every convolution. fusion: what e is made of. aggregation: of messages.
        """

        factors: PositiveInt = 64
        factors_multimod: PositiveInt = 128
        n_layers: PositiveInt = Field(default=2, validation_alias=AliasChoices("n_layers", "num_layers"))
        num_routings: PositiveInt = 3
        l_w: NonNegativeFloat = 1e-2
        aggregation: Literal["add"] = "add"
        weight_mode: Literal["confid", "mean", "max"] = "confid"
        pruning: bool = True
        has_act: bool = False
        fusion: Literal["concat", "id", "mean"] = "concat"
        compat: Literal["full_preference_weight"] | None = None

        @model_validator(mode="after")
        def _of_one_size(self) -> GRCN.Params:
            if self.fusion == "mean" and self.factors != self.factors_multimod:
                raise ValueError("`fusion: mean` is of vectors of one size: make `factors_multimod` equal to `factors`")
            return self

    scores_new_items = True

    def __init__(self, params: Params, data: TrainingData) -> None:
        super().__init__()
        self.params, self.data = params, data
        self.graph = InteractionGraph.of(data)
        self.seen = self.graph.interactions().pattern
        self.projections = Projections(data.take_modalities(params.wanted), params.factors_multimod)
        self.having = [self._edges_to(known) for known in self.projections.known]
        self.ids = node_weights(data, params.factors)
        self.preferences = nn.ParameterList(xavier(data.n_users, params.factors_multimod) for _ in self.having)
        self.confidences = None
        if params.weight_mode == "confid":
            self.confidences = nn.Parameter(torch.ones(data.n_users + data.n_items, len(self.having)))

    def sampler(self) -> EdgeTriples:
        return EdgeTriples(self.data)

    def nodes(self) -> Tensor:
        """e (U + I, ...)."""
        items = [functional.normalize(functional.leaky_relu(view)) for view in self.projections()]
        users = [self._prototypes(*each) for each in zip(self.preferences, items, self.having, strict=True)]
        convolved = self._convolved(self._refined(users, items))
        if self.params.fusion == "id":
            return convolved
        parts = [convolved, *(torch.cat(ends) for ends in zip(users, items, strict=True))]
        return torch.cat(parts, dim=1) if self.params.fusion == "concat" else torch.stack(parts).mean(dim=0)

    def vectors(self) -> tuple[Tensor, Tensor]:
        nodes = self.nodes()
        return nodes[: self.data.n_users], nodes[self.data.n_users :]

    def loss(self, batch: Triples) -> Tensor:
        drawn = torch.cat([batch.users, batch.positives + self.data.n_users, batch.negatives + self.data.n_users])
        users, positives, negatives = functional.embedding(drawn, self.nodes()).chunk(3)
        ranking = bpr_loss((users * positives).sum(-1), (users * negatives).sum(-1))
        of_ids = mean_squares(functional.embedding(drawn, self.ids))
        of_preferences = mean_squares(*(functional.embedding(batch.users, each) for each in self.preferences))
        full = self.params.compat == "full_preference_weight"
        return ranking + self.params.l_w * of_ids + (1.0 if full else self.params.l_w) * of_preferences

    def _prototypes(self, preferences: Tensor, items: Tensor, having: Pattern) -> Tensor:
        """Users (U, C) of one modality, from items (I, C)."""
        users = functional.normalize(preferences)
        for _ in range(self.params.num_routings):
            attention = softmax_by_row(having, inner_products(having, users, items))
            users = functional.normalize(users + SparseMatrix(having, attention) @ items)
        return users

    def _refined(self, users: list[Tensor], items: list[Tensor]) -> SparseMatrix:
        """S (U + I, U + I), from the vectors of every modality."""
        affinities = []
        for each_users, each_items in zip(users, items, strict=True):
            agreement = inner_products(self.seen, each_users, each_items)
            both_ways = self.graph.matrix(agreement, agreement).values
            affinities.append(softmax_by_row(self.graph.pattern, both_ways))
        stacked = torch.stack(affinities, dim=1)
        if self.confidences is not None:
            stacked = stacked * functional.embedding(self.graph.pattern.columns, self.confidences)
        weights = stacked.mean(dim=1) if self.params.weight_mode == "mean" else stacked.amax(dim=1)
        return SparseMatrix(self.graph.pattern, weights.relu() if self.params.pruning else weights)

    def _convolved(self, refined: SparseMatrix) -> Tensor:
        """x (U + I, F)."""
        total = layer = functional.normalize(self.ids)
        for _ in range(self.params.n_layers):
            layer = refined @ layer
            layer = functional.leaky_relu(layer) if self.params.has_act else layer
            total = total + layer
        return total

    def _edges_to(self, known: Tensor) -> Pattern:
        """(U, I), of the edges to items that have a modality."""
        return self.seen if known.all() else self.graph.subgraph(known[self.graph.items]).interactions().pattern
