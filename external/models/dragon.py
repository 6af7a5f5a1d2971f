"""DRAGON (Zhou, Zhou, Zhang and Shen: Enhancing dyadic relations with homogeneous graphs for multimodal
recommendation, ECAI 2023).

For each modality m, on the graph of users and items:

    X_m = rows of [P_m; W_m f_m + b_m] divided by their lengths        H_m = X_m + A X_m + ... + A^L X_m

Modalities are concatenated, users' with weights of their own, w_u = softmax(logits of u):

    g_u = [w_u1 h_u1, .., w_uM h_uM]        g_i = [h_i1, .., h_iM]

On the graphs of users and of items, a_u = softmax over the k users with most items in common of how many these are,
S = sum_m mw_m S_m the frozen nearest-neighbour graphs of the features (as in FREEDOM; Zhou and Shen, MM 2023):

    e_u = g_u + sum_v a_uv g_v        e_i = g_i + (S^n G)_i

score(u, i) = e_u . e_i

loss = mean over (u, i, j) of -log sigmoid(score(u, i) - score(u, j))
       + l_w (sum over m of the mean of P_m^2 + mean of logits^2)

Departures from the authors' code: the softmax of the weights is taken where they are used and not once at the start;
one linear map of the features (of unit length) in place of two; co-occurrence is counted in the training part, and a
user with fewer than k such neighbours has those only; natural logarithm.
"""

from __future__ import annotations

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from benchmark.models.base import DotProductRecommender, TrainingData, TrainingParams
from benchmark.models.encoders import CoOccurrence, PreferenceEncoder
from benchmark.models.graphs.item_graph import ItemGraphParams, frozen_item_graph
from benchmark.models.losses import bpr_loss, mean_squares
from benchmark.models.samplers import EdgeTriples, Triples


class DRAGON(DotProductRecommender):
    """P_m, W_m, b_m and the logits are those of `encoder`; a: `co_occurrence`; S: `item_graph`."""

    class Params(TrainingParams, ItemGraphParams):
        """factors: F, of one modality. n_layers: n. n_ui_layers: L. top_k_users: k. l_w: weight of the mean squares of
        preferences and logits."""

        factors: PositiveInt = 64
        n_layers: PositiveInt = 1
        n_ui_layers: PositiveInt = 2
        top_k_users: PositiveInt = 40
        l_w: NonNegativeFloat = 1e-3

    scores_new_items = True

    def __init__(self, params: Params, data: TrainingData) -> None:
        super().__init__()
        self.params, self.data = params, data
        modalities = data.take_modalities(params.wanted)
        self.encoder = PreferenceEncoder(data, modalities, params.factors, params.n_ui_layers)
        self.item_graph = frozen_item_graph(data, modalities, params)
        self.co_occurrence = CoOccurrence(data, params.top_k_users)

    def sampler(self) -> EdgeTriples:
        return EdgeTriples(self.data)

    def concatenated(self) -> tuple[Tensor, Tensor]:
        """g of all users and e of all items, both M F wide."""
        users, items = (each.flatten(1) for each in self.encoder())
        similar = items
        for _ in range(self.params.n_layers):
            similar = self.item_graph @ similar
        return users, items + similar

    def vectors(self) -> tuple[Tensor, Tensor]:
        users, items = self.concatenated()
        everyone = torch.arange(self.data.n_users, device=self.data.device)
        return users + self.co_occurrence.means(users, everyone), items

    def loss(self, batch: Triples) -> Tensor:
        all_users, items = self.concatenated()
        users = nn.functional.embedding(batch.users, all_users) + self.co_occurrence.means(all_users, batch.users)
        positives = nn.functional.embedding(batch.positives, items)
        negatives = nn.functional.embedding(batch.negatives, items)
        ranking = bpr_loss((users * positives).sum(-1), (users * negatives).sum(-1))
        return ranking + self.params.l_w * mean_squares(*self.encoder.preferences, self.encoder.logits)
