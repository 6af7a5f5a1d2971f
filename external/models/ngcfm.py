"""NGCFM: NGCF (Wang et al., SIGIR 2019) with the multimodal term of VBPR (He & McAuley, AAAI 2016), as in Elliot.

g = mean of e^(0), ..., e^(L), the layers of NGCF's propagation (benchmark.models.ngcf_layers), all of length F
p_i = normalise(W f_i + b), f_i = concatenation of i's modalities; zero for an item without any
score(u, i) = g_u . g_i + t_u . p_i

loss = mean over (u, i, j) of -log sigmoid(score(u, i) - score(u, j))
       + l_w / (2 B) (|g_u|^2 + |g_i|^2 + |g_j|^2 + |t_u|^2 + |p_i|^2 + |p_j|^2)

There is no paper of its own. `compat: elliot` brings back Elliot's propagation.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import NonNegativeFloat
from torch import Tensor, nn

from benchmark.models.base import DotProductRecommender, MultimodalParams, TrainingData
from benchmark.models.layers import ConcatenatedView, node_weights, xavier
from benchmark.models.losses import bpr_loss, half_squared_norms
from benchmark.models.ngcf_layers import EmbeddingPropagation, PropagationParams
from benchmark.models.samplers import DistinctUserTriples, Triples


class NGCFM(DotProductRecommender):
    """E^(0): `embeddings` (U + I, F), users first; t_u: `user_tastes` (U, F); W, b: `projection` (F, D)."""

    class Params(PropagationParams, MultimodalParams):
        """l_w: weight of the squared norms. aggregation: how modalities are joined."""

        l_w: NonNegativeFloat = 1e-2
        aggregation: Literal["concat"] = "concat"

    without_effect = {"weight_size": "layers are averaged, so that all have the length `factors`"}
    scores_new_items = True

    def __init__(self, params: Params, data: TrainingData) -> None:
        super().__init__()
        self.params, self.data = params, data
        modalities = data.take_modalities(params.wanted)
        self.embeddings = node_weights(data, params.factors)
        self.propagation = EmbeddingPropagation(data, params, [params.factors] * (params.n_layers + 1))
        self.user_tastes = xavier(data.n_users, params.factors)
        self.projection = ConcatenatedView(modalities, params.factors)

    def sampler(self) -> DistinctUserTriples:
        return DistinctUserTriples(self.data)

    def on_epoch_start(self, epoch: int, generator: torch.Generator) -> None:
        self.propagation.drop_nodes(generator)

    def propagated(self) -> Tensor:
        """g (U + I, F)."""
        return torch.stack(self.propagation(self.embeddings)).mean(dim=0)

    def vectors(self) -> tuple[Tensor, Tensor]:
        users, items = self.propagated().split([self.data.n_users, self.data.n_items])
        return torch.cat([users, self.user_tastes], dim=1), torch.cat([items, self.projection()], dim=1)

    def loss(self, batch: Triples) -> Tensor:
        nodes = torch.cat([batch.users, batch.positives + self.data.n_users, batch.negatives + self.data.n_users])
        users, positives, negatives = nn.functional.embedding(nodes, self.propagated()).chunk(3)
        tastes = nn.functional.embedding(batch.users, self.user_tastes)
        drawn, places = torch.unique(torch.cat([batch.positives, batch.negatives]), return_inverse=True)
        views = self.projection(drawn)  # an item drawn twice is projected once
        positive_views, negative_views = nn.functional.embedding(places, views).chunk(2)
        ranking = bpr_loss(
            (users * positives).sum(-1) + (tastes * positive_views).sum(-1),
            (users * negatives).sum(-1) + (tastes * negative_views).sum(-1),
        )
        norms = half_squared_norms(users, positives, negatives, tastes, positive_views, negative_views)
        return ranking + self.params.l_w * norms
