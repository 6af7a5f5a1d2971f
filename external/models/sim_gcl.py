"""SimGCL: graph contrastive learning without graph augmentation (Yu et al., SIGIR 2022).

X_l = A X_(l-1), X_0 = E        z = mean of X_1 .. X_L (without E)        score(u, i) = z_u . z_i

Two views z', z'' of every node come from the same propagation, with noise of length eps added to each layer's rows:
X'_l = A X'_(l-1) + eps sign(A X'_(l-1)) * w / |w|, w uniform in [0, 1)^F.

loss = mean over (u, i, j) of -log sigmoid(score(u, i) - score(u, j))
       + reg_cl (InfoNCE of u + InfoNCE of i)
       + l_w / (2 B) (|e_u|^2 + |e_i|^2 + |e_j|^2)

InfoNCE of u = mean over the distinct users u of the batch of
-log(exp(cos(z'_u, z''_u) / .2) / sum over these users v of exp(cos(z'_u, z''_v) / .2)), of positive items alike.

The propagation is linear, so a view is z + d with d_l = A d_(l-1) + noise, and no gradient flows into the noise: z, z'
and z'' have one gradient to E, which is computed once, and A E is shared.

Codes of SimGCL regularise by norms that are not squared, of the propagated vectors, users and positives only; at the
published l_w either is next to nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from benchmark.models.base import DotProductRecommender, TrainingData
from benchmark.models.contrastive import ContrastiveParams
from benchmark.models.graphs import InteractionGraph
from benchmark.models.layers import xavier
from benchmark.models.losses import bpr_loss, half_squared_norms, info_nce
from benchmark.models.samplers import EdgeTriples, Triples

_TEMPERATURE = 0.2  # published, and never tuned


class SimGCL(DotProductRecommender):
    """E: `embeddings` (U + I, F), users first; A: `adjacency`."""

    class Params(ContrastiveParams):
        """factors: F. n_layers: L. l_w: weight of the squared norms of a batch's rows of E. eps: length of the noise.
        reg_cl: weight of the contrast between the views."""

        factors: PositiveInt = 64
        n_layers: PositiveInt = 3
        l_w: NonNegativeFloat = 1e-4
        eps: NonNegativeFloat = 0.1
        reg_cl: NonNegativeFloat = 0.5

    def __init__(self, params: Params, data: TrainingData) -> None:
        super().__init__()
        self.params, self.data = params, data
        self.adjacency = InteractionGraph.of(data).adjacency()
        self.embeddings = xavier(data.n_users + data.n_items, params.factors)

    def sampler(self) -> EdgeTriples:
        return EdgeTriples(self.data)

    def propagated(self) -> list[Tensor]:
        """X_1 .. X_L, each (U + I, F)."""
        layers: list[Tensor] = [self.embeddings]
        for _ in range(self.params.n_layers):
            layers.append(self.adjacency @ layers[-1])
        return layers[1:]

    @torch.no_grad()
    def deviation(self, layers: Sequence[Tensor]) -> Tensor:
        """d (U + I, F) of a view that is drawn here: z' - z."""
        deviations: list[Tensor] = []
        for layer in layers:
            noise = nn.functional.normalize(torch.rand_like(layer)).mul_(self.params.eps)
            carried = self.adjacency @ deviations[-1] if deviations else torch.zeros_like(layer)
            deviations.append(carried + noise * (layer + carried).sign())
        return torch.stack(deviations).mean(dim=0)

    def vectors(self) -> tuple[Tensor, Tensor]:
        nodes = torch.stack(self.propagated()).mean(dim=0)
        return nodes[: self.data.n_users], nodes[self.data.n_users :]

    def loss(self, batch: Triples) -> Tensor:
        gather = nn.functional.embedding
        layers = self.propagated()
        nodes = torch.stack(layers).mean(dim=0)
        positives, negatives = batch.positives + self.data.n_users, batch.negatives + self.data.n_users
        drawn = torch.cat([batch.users, positives, negatives])
        users, liked, others = gather(drawn, nodes).chunk(3)
        ranking = bpr_loss((users * liked).sum(-1), (users * others).sum(-1))
        norms = half_squared_norms(*gather(drawn, self.embeddings).chunk(3))
        one, other = self.deviation(layers), self.deviation(layers)
        contrast = torch.zeros_like(ranking)
        for distinct in (torch.unique(batch.users), torch.unique(positives)):
            clean = gather(distinct, nodes)
            contrast = contrast + info_nce(clean + one[distinct], clean + other[distinct], _TEMPERATURE)
        return ranking + self.params.reg_cl * contrast + self.params.l_w * norms
