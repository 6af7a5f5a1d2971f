"""DualGNN (Wang, Wei, Yin, Wu, Song and Nie: Dual graph neural network for multimedia recommendation, TMM 2021).

For each modality m, on the graph of users and items:

    X_m = rows of [P_m; W_m f_m + b_m] divided by their lengths        H_m = X_m + A X_m + ... + A^L X_m

Users mix the modalities by weights of their own, w_u = softmax(logits of u), and then take over what the k users with
most items in common (c_uv of them) have:

    g_u = sum_m w_um h_um        e_u = g_u + sum_v a_uv g_v, a_u = softmax_v(c_uv)        e_i = sum_m h_im

score(u, i) = e_u . e_i

loss = mean over (u, i, j) of -log sigmoid(score(u, i) - score(u, j))
       + l_w (sum over m of the mean of P_m^2 + mean of logits^2)

Departures from the authors' code: the softmax of the weights is taken where they are used and not once at the start;
one linear map of the features (of unit length) in place of two; co-occurrence is counted in the training part, and a
user with fewer than k such neighbours has those only; natural logarithm.
"""

from __future__ import annotations

import torch
from pydantic import AliasChoices, Field, NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from benchmark.models.base import DotProductRecommender, MultimodalParams, TrainingData, TrainingParams
from benchmark.models.encoders import CoOccurrence, PreferenceEncoder
from benchmark.models.losses import bpr_loss, mean_squares
from benchmark.models.samplers import EdgeTriples, Triples


class DualGNN(DotProductRecommender):
    """P_m, W_m, b_m and the logits are those of `encoder`; a: `co_occurrence`."""

    class Params(TrainingParams, MultimodalParams):
        """factors: F. n_layers: L. top_k_users: k. l_w: weight of the mean squares of preferences and logits."""

        factors: PositiveInt = 64
        n_layers: PositiveInt = 2
        top_k_users: PositiveInt = Field(default=40, validation_alias=AliasChoices("top_k_users", "top_k"))
        l_w: NonNegativeFloat = 1e-3

    scores_new_items = True

    def __init__(self, params: Params, data: TrainingData) -> None:
        super().__init__()
        self.params, self.data = params, data
        modalities = data.take_modalities(params.wanted)
        self.encoder = PreferenceEncoder(data, modalities, params.factors, params.n_layers)
        self.co_occurrence = CoOccurrence(data, params.top_k_users)

    def sampler(self) -> EdgeTriples:
        return EdgeTriples(self.data)

    def mixed(self) -> tuple[Tensor, Tensor]:
        """g of all users and e of all items."""
        users, items = self.encoder()
        return users.sum(dim=1), items.sum(dim=1)

    def vectors(self) -> tuple[Tensor, Tensor]:
        users, items = self.mixed()
        everyone = torch.arange(self.data.n_users, device=self.data.device)
        return users + self.co_occurrence.means(users, everyone), items

    def loss(self, batch: Triples) -> Tensor:
        all_users, items = self.mixed()
        users = nn.functional.embedding(batch.users, all_users) + self.co_occurrence.means(all_users, batch.users)
        positives = nn.functional.embedding(batch.positives, items)
        negatives = nn.functional.embedding(batch.negatives, items)
        ranking = bpr_loss((users * positives).sum(-1), (users * negatives).sum(-1))
        return ranking + self.params.l_w * mean_squares(*self.encoder.preferences, self.encoder.logits)
