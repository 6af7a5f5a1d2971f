"""BM3: bootstrapped multimodal recommendation without negatives (Zhou et al., WWW 2023).

E = mean over l = 0 .. L of A^l E^(0)        A = D^-1/2 [[0, R], [R^T, 0]] D^-1/2
user = e_u        item = e_i + e_i^(0)        f_i^m = W_m x_i^m + b_m        P(z) = W z + b

C(z, t) = 1 - cos(P(z), t)        t~: t after dropout, as a constant

loss = mean over (u, i) of C(user, item~) + C(item, user~)
       + cl_weight sum_m mean over (u, i) of C(f^m, item~) + C(f^m, f^m~)
       + reg_weight (|users|_F + |items|_F) / I

score(u, i) = P(user) . P(item)

An item without features of m has no term for m, though it counts in the mean. Every training interaction comes once an
epoch, and no negative is drawn.

Departures: the paper's regulariser squares the norms of a batch's vectors; here as in the authors' code it is the
norms, not squared, of the whole tables after propagation. Features are frozen and their projections trained, where the
published tables trained the features as well (`compat: trainable_features`). Dropout is drawn for the rows of the batch
and not for the whole tables.

Cost an epoch: for every batch L products with A and as many back, and the projections of the items of the batch.
Features shape the vectors of items in training only: scores do not read them.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import embedding

from benchmark.models.base import DotProductRecommender, MultimodalParams, TrainingData, TrainingParams
from benchmark.models.graphs import InteractionGraph
from benchmark.models.layers import Projections, mean_of_layers, xavier
from benchmark.models.losses import cosine_bootstrap, frobenius_norms
from benchmark.models.samplers import Pairs, Positives


class BM3(DotProductRecommender):
    """E^(0): `user_factors` (U, F) over `item_factors` (I, F); P: `predictor`; W_m, b_m: `projections`."""

    class Params(TrainingParams, MultimodalParams):
        """factors: F. n_layers: L. dropout: share of the entries of a target that are left out. cl_weight: weight of
        the modalities' terms. reg_weight: of the norms. compat: see the module."""

        factors: PositiveInt = 64
        n_layers: PositiveInt = 2
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
        cl_weight: NonNegativeFloat = 2.0
        reg_weight: NonNegativeFloat = 0.1
        compat: Literal["trainable_features"] | None = None

    without_effect = {"multimod_factors": "projections are as long as `factors`, since one predictor reads both"}

    def __init__(self, params: Params, data: TrainingData) -> None:
        super().__init__()
        self.params, self.data = params, data
        modalities = data.take_modalities(params.wanted)
        self.adjacency = InteractionGraph.of(data).adjacency()
        self.user_factors = xavier(data.n_users, params.factors)
        self.item_factors = xavier(data.n_items, params.factors)
        self.predictor = nn.Linear(params.factors, params.factors)
        self.projections = Projections(modalities, params.factors, trainable=params.compat == "trainable_features")
        self.dropout = nn.Dropout(params.dropout)

    def sampler(self) -> Pairs:
        return Pairs(self.data)

    def propagate(self) -> tuple[Tensor, Tensor]:
        """Users (U, F) and items (I, F), before the predictor."""
        nodes = mean_of_layers(self.adjacency, torch.cat([self.user_factors, self.item_factors]), self.params.n_layers)
        return nodes[: self.data.n_users], nodes[self.data.n_users :] + self.item_factors

    def vectors(self) -> tuple[Tensor, Tensor]:
        users, items = self.propagate()
        return self.predictor(users), self.predictor(items)

    def loss(self, batch: Positives) -> Tensor:
        users, items = self.propagate()
        user, item = embedding(batch.users, users), embedding(batch.positives, items)
        user_view, item_view = self.dropout(user.detach()), self.dropout(item.detach())
        total = cosine_bootstrap(self.predictor(user), item_view) + cosine_bootstrap(self.predictor(item), user_view)
        unique, places = torch.unique(batch.positives, return_inverse=True)  # an item drawn twice is projected once
        for projected, known in zip(self.projections(unique), self.projections.known, strict=True):
            there, view = known[batch.positives], self.dropout(embedding(places, projected.detach()))
            predicted = embedding(places, self.predictor(projected))
            agreement = cosine_bootstrap(predicted, item_view, there) + cosine_bootstrap(predicted, view, there)
            total = total + self.params.cl_weight * agreement
        return total + self.params.reg_weight * frobenius_norms(items, users)
