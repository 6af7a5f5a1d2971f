"""NGCF: neural graph collaborative filtering (Wang et al., SIGIR 2019).

E^(l) = LeakyReLU((A + I) E^(l-1) W1^(l) + (A E^(l-1) * E^(l-1)) W2^(l)), l = 1 .. L        (see ngcf_layers)
e = [e^(0), ..., e^(L)]        score(u, i) = e_u . e_i

loss = mean over (u, i, j) of -log sigmoid(score(u, i) - score(u, j))
       + l_w / 2 ((|e_u^(0)|^2 + |e_i^(0)|^2 + |e_j^(0)|^2) / B + sum of |W1^(l)|^2 + |W2^(l)|^2)

Every batch has distinct users, as in the authors' code. Their regulariser, and Elliot's, takes the final vectors in
place of e^(0) and leaves W out; `compat: elliot` does so, together with Elliot's propagation.
"""

from __future__ import annotations

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from benchmark.models.base import DotProductRecommender, TrainingData
from benchmark.models.layers import xavier
from benchmark.models.losses import bpr_loss, half_squared_norms
from benchmark.models.ngcf_layers import EmbeddingPropagation, PropagationParams
from benchmark.models.samplers import DistinctUserTriples, Triples


class NGCF(DotProductRecommender):
    """E^(0): `embeddings` (U + I, F), users first; W1, W2: in `propagation`."""

    class Params(PropagationParams):
        """weight_size: length of the vectors of every layer but E^(0). l_w: weight of the squared norms."""

        weight_size: PositiveInt = 64
        l_w: NonNegativeFloat = 1e-5

    def __init__(self, params: Params, data: TrainingData) -> None:
        super().__init__()
        self.params, self.data = params, data
        self.embeddings = xavier(data.n_users + data.n_items, params.factors)
        sizes = [params.factors, *[params.weight_size] * params.n_layers]
        self.propagation = EmbeddingPropagation(data, params, sizes)

    def sampler(self) -> DistinctUserTriples:
        return DistinctUserTriples(self.data)

    def on_epoch_start(self, epoch: int, generator: torch.Generator) -> None:
        self.propagation.drop_nodes(generator)

    def vectors(self) -> tuple[Tensor, Tensor]:
        nodes = torch.cat(self.propagation(self.embeddings), dim=1)
        return nodes[: self.data.n_users], nodes[self.data.n_users :]

    def loss(self, batch: Triples) -> Tensor:
        nodes = torch.cat([batch.users, batch.positives + self.data.n_users, batch.negatives + self.data.n_users])
        layers = self.propagation(self.embeddings)
        rows = torch.cat([nn.functional.embedding(nodes, layer) for layer in layers], dim=1)
        users, positives, negatives = rows.chunk(3)
        ranking = bpr_loss((users * positives).sum(-1), (users * negatives).sum(-1))
        if self.params.compat == "elliot":
            return ranking + self.params.l_w * half_squared_norms(users, positives, negatives)
        norms = half_squared_norms(*nn.functional.embedding(nodes, self.embeddings).chunk(3))
        squares = torch.stack([weight.square().sum() for weight in self.propagation.weights()]).sum()
        return ranking + self.params.l_w * (norms + squares / 2)
