"""Encoders of the interaction graph by modality, each of which serves two models, and what else these share."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from benchmark.models.base import DotProductRecommender, Features, MultimodalParams, TrainingData, TrainingParams
from benchmark.models.graphs import InteractionGraph, co_occurring_users
from benchmark.models.layers import Projections, item_weights, mean_of_layers, xavier
from benchmark.models.losses import bpr_loss, mean_squares
from benchmark.models.precision import single_or_more
from benchmark.models.samplers import EdgeTriples, Triples


def unit_features(data: TrainingData, features: Mapping[str, Features]) -> dict[str, Features]:
    """The same modalities with every item's features divided by their length, made once for all trials."""

    def scaled(each: Features) -> Features:
        def make() -> Features:
            return Features(nn.functional.normalize(each.values), each.present)

        return data.derived(f"unit features {each.digest}", make)

    return {name: scaled(each) for name, each in features.items()}


class PreferenceEncoder(nn.Module):
    """Propagation by modality from users' preferences and items' features (DualGNN, DRAGON).

    X_m = rows of [P_m; W_m f_m + b_m] divided by their lengths        H_m = X_m + A X_m + ... + A^L X_m

    w_u = softmax(logits of u), one weight a modality

    Weights
    -------
    preferences : P_m, (U, F) a modality.
    projections : W_m and b_m.
    logits : (U, M).
    """

    def __init__(self, data: TrainingData, features: Mapping[str, Features], factors: int, n_layers: int) -> None:
        super().__init__()
        self.n_users, self.n_layers, self.factors = data.n_users, n_layers, factors
        self.adjacency = InteractionGraph.of(data).adjacency()
        self.preferences = nn.ParameterList(xavier(data.n_users, factors) for _ in features)
        self.projections = Projections(unit_features(data, features), factors)
        self.logits = xavier(data.n_users, len(features))

    def forward(self) -> tuple[Tensor, Tensor]:
        """w_u H_m of the users (U, M, F) and H_m of the items (I, M, F)."""
        layers = zip(self.preferences, self.projections(), strict=True)
        inputs = [nn.functional.normalize(torch.cat([users, items])) for users, items in layers]
        # all modalities side by side: one product a layer
        total = (self.n_layers + 1) * mean_of_layers(self.adjacency, torch.cat(inputs, dim=1), self.n_layers)
        users, items = total.view(len(total), len(inputs), self.factors).tensor_split([self.n_users])
        return self.logits.softmax(dim=1)[:, :, None] * users, items


class CoOccurrence:
    """Means over the k users with most items in common, weighted by the softmax of how many these are."""

    def __init__(self, data: TrainingData, k: int) -> None:
        users, counts = co_occurring_users(data, k)
        there = users >= 0
        self.users = users.where(there, 0)
        # a user who shares items with nobody has a row of zeros
        self.weights = counts.where(there, -torch.inf).softmax(dim=1).nan_to_num(0.0)

    def means(self, vectors: Tensor, users: Tensor) -> Tensor:
        """(B, F) of the users (B,), from the vectors (U, F) of all."""
        return nn.functional.embedding_bag(
            self.users[users], single_or_more(vectors), mode="sum", per_sample_weights=self.weights[users]
        )


class DualGraphRecommender(DotProductRecommender):
    """What DualGNN and DRAGON have in common: users take over what those have with whom they share most items.

    e_u = g_u + sum_v a_uv g_v        score(u, i) = e_u . e_i

    loss = mean over (u, i, j) of -log sigmoid(score(u, i) - score(u, j))
           + l_w (sum over m of the mean of P_m^2 + mean of logits^2)

    Weights
    -------
    encoder : P_m, W_m, b_m and the logits.
    """

    class Params(TrainingParams, MultimodalParams):
        """factors: F, of one modality. l_w: weight of the mean squares of preferences and logits."""

        factors: PositiveInt = 64
        l_w: NonNegativeFloat = 1e-3

    scores_new_items = True

    def __init__(self, params: Params, data: TrainingData, n_layers: int, top_k_users: int) -> None:
        super().__init__()
        self.params, self.data = params, data
        self.modalities = data.take_modalities(params.wanted)
        self.encoder = PreferenceEncoder(data, self.modalities, params.factors, n_layers)
        self.co_occurrence = CoOccurrence(data, top_k_users)

    def fused(self) -> tuple[Tensor, Tensor]:
        """g of all users and e of all items, from one propagation."""
        raise NotImplementedError

    def sampler(self) -> EdgeTriples:
        return EdgeTriples(self.data)

    def vectors(self) -> tuple[Tensor, Tensor]:
        users, items = self.fused()
        everyone = torch.arange(self.data.n_users, device=self.data.device)
        return users + self.co_occurrence.means(users, everyone), items

    def loss(self, batch: Triples) -> Tensor:
        all_users, items = self.fused()
        users = nn.functional.embedding(batch.users, all_users) + self.co_occurrence.means(all_users, batch.users)
        positives = nn.functional.embedding(batch.positives, items)
        negatives = nn.functional.embedding(batch.negatives, items)
        ranking = bpr_loss((users * positives).sum(-1), (users * negatives).sum(-1))
        return ranking + self.params.l_w * mean_squares(*self.encoder.preferences, self.encoder.logits)


class SharedUserEncoder(nn.Module):
    """Nodes by number and by modality, with one table of users for all of them (SLMRec, MMGCL).

    X_0 = [U; V], X_m = [U; W_m f_m + b_m], m = 1 .. M; fused by one linear map of users and one of items.

    Weights
    -------
    users, items : U (U, F) and V (I, F).
    projections : W_m and b_m.
    fuse_users, fuse_items : from (1 + M) F to F.
    """

    def __init__(self, data: TrainingData, features: Mapping[str, Features], factors: int) -> None:
        super().__init__()
        self.factors, self.width = factors, 1 + len(features)
        self.users, self.items = xavier(data.n_users, factors), item_weights(data, factors)
        self.projections = Projections(unit_features(data, features), factors)
        self.fuse_users, self.fuse_items = (nn.Linear(self.width * factors, factors) for _ in range(2))

    def inputs(self) -> Tensor:
        """X_0, X_1, ... side by side, (U + I, (1 + M) F)."""
        return torch.cat([self.users.repeat(1, self.width), torch.cat([self.items, *self.projections()], dim=1)])

    def fused(self, nodes: Tensor) -> tuple[Tensor, Tensor]:
        """Users (U, F) and items (I, F) of propagated nodes (U + I, (1 + M) F)."""
        users, items = nodes.tensor_split([len(self.users)])
        return self.fuse_users(users), self.fuse_items(items)
