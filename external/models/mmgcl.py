"""MMGCL (Yi, Wang, Ounis and Macdonald: Multi-modal graph contrastive learning for micro-video recommendation,
SIGIR 2022).

X_0 = [U; V]        X_m = [U; W_m f_m + b_m], m = 1 .. M        H_m = mean of X_m, A X_m, .., A^L X_m

e_u = W_user [h_u0, .., h_uM] + b_user        e_i = W_item [h_i0, .., h_iM] + b_item        score(u, i) = e_u . e_i

loss = mean over (u, i, j) of -log sigmoid(score(u, i) - score(u, j)) + l_w / (2 B) (|u|^2 + |i|^2 + |j|^2)
       + alpha (SSL of the users of the batch + SSL of its positive items), |u|, |i|, |j| of the rows of U and V

SSL is the mean over the different nodes b of -log( s(x_b, y_b) / (s(x_b, n_b) + sum over c of s(x_b, y_c)) ), c in the
batch as well, s(x, y) = exp(cos(x, y) / temperature):

    x     modality edge dropout: e on a graph of a share 1 - `drop` of the interactions;
    y     modality masking: e with X_m of one modality, m with probability mask_p, replaced by random vectors;
    n     the challenging negative: as y, but h_bm of one modality, drawn uniformly, is that of another node.

With one modality nothing would be left of a masked node but its number: there y is a second edge dropout.

Departures: dropped edges (the same for all modalities) and random vectors are drawn once an epoch, so masking needs
no propagation of its own; the masked modality, and the exchanged ones, are drawn for every batch. The code that public
benchmarks run throws the masking view and the negatives away and contrasts users with items on the first view.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from benchmark.models.base import DotProductRecommender, MultimodalParams, TrainingData
from benchmark.models.contrastive import ContrastiveParams
from benchmark.models.encoders import SharedUserEncoder
from benchmark.models.graphs import InteractionGraph, sample_edges
from benchmark.models.layers import mean_of_layers
from benchmark.models.losses import bpr_loss, half_squared_norms, info_nce
from benchmark.models.samplers import EdgeTriples, Triples
from benchmark.models.spelling import Spelled, one_a_modality
from workbench.errors import UserError


class MMGCL(DotProductRecommender):
    """U, V, W_m, b_m and the maps to e are those of `encoder`. Drawn anew each epoch: `adjacencies` of the views by
    edge dropout, and random vectors, `noise` (U + I, F), with what they propagate to, `masks`."""

    class Params(ContrastiveParams, MultimodalParams):
        """factors: F. n_layers: L. drop: share of the interactions that a view leaves out. mask_p: how likely each
        modality is the masked one, in their order; by default all alike. alpha, temperature: of SSL. l_w: weight of the
        squared norms."""

        factors: PositiveInt = 64
        n_layers: PositiveInt = 3
        drop: Annotated[float, Field(ge=0, lt=1)] = 0.3
        mask_p: Annotated[tuple[NonNegativeFloat, ...] | None, Spelled] = None
        temperature: PositiveFloat = 0.2
        alpha: NonNegativeFloat = 0.1
        l_w: NonNegativeFloat = 1e-4

        def check_modalities(self, names: tuple[str, ...]) -> None:
            if self.mask_p is None:
                return
            one_a_modality(names, "mask_p", self.mask_p, "probabilities")
            if not any(self.mask_p):
                raise UserError("`mask_p` is 0 for every modality", mend="make one positive, or leave `mask_p` out")

    scores_new_items = True

    def __init__(self, params: Params, data: TrainingData) -> None:
        super().__init__()
        self.params, self.data = params, data
        features = data.take_modalities(params.wanted)
        params.check_modalities(tuple(features))
        given = torch.tensor(params.mask_p or (1.0,) * len(features), device=data.device)
        self.mask_p = given / given.sum()
        self.graph = InteractionGraph.of(data)
        self.adjacency = self.graph.adjacency()
        self.encoder = SharedUserEncoder(data, features, params.factors)
        self.adjacencies = [self.adjacency] * (2 if len(features) == 1 else 1)
        self.noise = self.masks = torch.zeros(self.graph.n_nodes, params.factors, device=data.device)

    def sampler(self) -> EdgeTriples:
        return EdgeTriples(self.data)

    def on_epoch_start(self, epoch: int, generator: torch.Generator) -> None:
        kept = [sample_edges(self.graph, 1 - self.params.drop, generator) for _ in self.adjacencies]
        self.adjacencies = [self.graph.subgraph(each).adjacency() for each in kept]
        if len(self.mask_p) > 1:
            self.noise = nn.init.xavier_uniform_(torch.empty_like(self.noise), generator=generator)
            self.masks = mean_of_layers(self.adjacency, self.noise, self.params.n_layers)

    def vectors(self) -> tuple[Tensor, Tensor]:
        return self.encoder.fused(mean_of_layers(self.adjacency, self.encoder.inputs(), self.params.n_layers))

    def loss(self, batch: Triples) -> Tensor:
        inputs, offset = self.encoder.inputs(), self.data.n_users
        plain, *dropped = (
            mean_of_layers(adjacency, inputs, self.params.n_layers) for adjacency in (self.adjacency, *self.adjacencies)
        )
        fuse_users, fuse_items = self.encoder.fuse_users, self.encoder.fuse_items
        users = fuse_users(nn.functional.embedding(batch.users, plain))
        drawn = nn.functional.embedding(torch.cat([batch.positives, batch.negatives]) + offset, plain)
        positives, negatives = fuse_items(drawn).chunk(2)
        ranking = bpr_loss((users * positives).sum(-1), (users * negatives).sum(-1))
        norms = half_squared_norms(
            nn.functional.embedding(batch.users, self.encoder.users),
            nn.functional.embedding(batch.positives, self.encoder.items),
            nn.functional.embedding(batch.negatives, self.encoder.items),
        )
        masked = torch.multinomial(self.mask_p, 1) + 1  # the column of the masked modality
        contrast = self.contrast(torch.unique(batch.users), fuse_users, plain, dropped, masked) + self.contrast(
            torch.unique(batch.positives) + offset, fuse_items, plain, dropped, masked
        )
        return ranking + self.params.l_w * norms + self.params.alpha * contrast

    def contrast(self, nodes: Tensor, fuse: nn.Linear, plain: Tensor, dropped: list[Tensor], masked: Tensor) -> Tensor:
        """SSL of the nodes (B,); `plain`, `dropped`: h (U + I, (1 + M) F) on the whole graph and on the views'."""
        one = nn.functional.embedding(nodes, dropped[0])
        if len(dropped) > 1:
            other = self.parts(nn.functional.embedding(nodes, dropped[1]))
        else:
            columns = torch.arange(self.encoder.width, device=nodes.device)
            other = self.parts(nn.functional.embedding(nodes, plain))
            other = torch.where((columns == masked)[:, None], self.masks[nodes][:, None], other)
        order = torch.randperm(len(nodes), device=nodes.device)
        strangers = torch.empty_like(order).scatter_(0, order, order.roll(1))
        exchanged = torch.randint(1, self.encoder.width, (len(nodes), 1), device=nodes.device)
        negatives = torch.where(
            (torch.arange(self.encoder.width, device=nodes.device) == exchanged)[:, :, None], other[strangers], other
        )
        return info_nce(
            fuse(one), fuse(other.flatten(1)), self.params.temperature, own_negatives=fuse(negatives.flatten(1))
        )

    def parts(self, rows: Tensor) -> Tensor:
        """(B, 1 + M, F) of (B, (1 + M) F)."""
        return rows.view(len(rows), self.encoder.width, self.params.factors)
