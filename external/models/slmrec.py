"""SLMRec (Tao, Liu, Xia, Wang, Yang, Huang and Chua: Self-supervised learning for multimedia recommendation, TMM 2022).

X_0 = [U; V]        X_m = [U; W_m f_m + b_m], m = 1 .. M        H_m = mean of X_m, A X_m, .., A^L X_m

e_u = W_user [h_u0, .., h_uM] + b_user        e_i = W_item [h_i0, .., h_iM] + b_item

score(u, i) = e_u . e_i

loss = NCE(e_u, e_i; temperature) + alpha SSL,  over the pairs (u, i) of a batch

NCE(x, y; t) is the mean over b of -log( exp(cos(x_b, y_b) / t) / sum_c exp(cos(x_b, y_c) / t) ), c in the batch. SSL
compares views of the different items of the batch, at `ssl_temperature`:

    FAC   fine and coarse spaces: z_0 = C_0 h_i0 is compared with C_m h_im, m = 1 .. M - 1, in the fine space, and
          D_0 z_0 with D h_iM in the coarse one; all maps are affine. SSL is the sum of the M comparisons; items without
          m have no part in that with m. The last modality is the coarse one, as the paper's text; an only one is fine.
    FD    feature dropout: e_i of h_im with entries dropped, m = 1 .. M, a share `dropout` of them, and again of others.
    FM    feature masking: e_i, and e_i of h_im with one m, drawn for each item, put to 0.

Departures: FD and FM change what was propagated, where before it they would cost a propagation each. The authors' code
compares in FAC by inner products, its FD and FM did not run in the public benchmark, and it scored with the vectors of
the last training step. The loss trains directions only, yet scores are inner products, as there: the lengths, which say
how much an item is liked by all, rank much better than the cosine does.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from benchmark.models.base import DotProductRecommender, MultimodalParams, TrainingData
from benchmark.models.contrastive import ContrastiveParams
from benchmark.models.encoders import SharedUserEncoder
from benchmark.models.graphs import InteractionGraph
from benchmark.models.layers import mean_of_layers
from benchmark.models.losses import info_nce
from benchmark.models.samplers import Pairs, Positives


class SLMRec(DotProductRecommender):
    """U, V, W_m, b_m and the maps to e are those of `encoder`; C_0, C_m: `to_fine`; D_0, D: `to_coarse`."""

    class Params(ContrastiveParams, MultimodalParams):
        """factors: F. n_layers: L. temperature: of the ranking. task: which SSL. alpha, ssl_temperature: its weight and
        temperature. dropout: of FD."""

        factors: PositiveInt = 64
        n_layers: PositiveInt = 3
        temperature: PositiveFloat = 0.2
        task: Literal["FAC", "FD", "FM"] = "FAC"
        alpha: NonNegativeFloat = 0.05
        ssl_temperature: PositiveFloat = 0.2
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3

    scores_new_items = True

    def __init__(self, params: Params, data: TrainingData) -> None:
        super().__init__()
        self.params, self.data = params, data
        features, size = data.take_modalities(params.wanted), params.factors
        self.encoder = SharedUserEncoder(data, features, size)
        self.adjacency = InteractionGraph.of(data).adjacency()
        if params.task == "FAC":
            self.to_fine = nn.ModuleList(nn.Linear(size, size) for _ in range(max(2, len(features))))
            self.to_coarse = nn.ModuleList(nn.Linear(size, size) for _ in range(2 if len(features) > 1 else 0))

    def sampler(self) -> Pairs:
        return Pairs(self.data)

    def propagated(self) -> Tensor:
        """All h side by side, (U + I, (1 + M) F)."""
        return mean_of_layers(self.adjacency, self.encoder.inputs(), self.params.n_layers)

    def vectors(self) -> tuple[Tensor, Tensor]:
        return self.encoder.fused(self.propagated())

    def loss(self, batch: Positives) -> Tensor:
        nodes = self.propagated()
        unique, places = torch.unique(batch.positives, return_inverse=True)
        rows = nn.functional.embedding(unique + self.data.n_users, nodes)
        fused = self.encoder.fuse_items(rows)
        ranking = info_nce(
            self.encoder.fuse_users(nn.functional.embedding(batch.users, nodes)),
            nn.functional.embedding(places, fused),
            self.params.temperature,
        )
        parts = rows.view(len(unique), self.encoder.width, self.params.factors)
        if self.params.task == "FAC":
            return ranking + self.params.alpha * self.fine_and_coarse(parts, unique)
        one, other = (fused, self.masked(parts)) if self.params.task == "FM" else map(self.dropped, (parts, parts))
        return ranking + self.params.alpha * info_nce(one, other, self.params.ssl_temperature)

    def fine_and_coarse(self, parts: Tensor, items: Tensor) -> Tensor:
        """SSL of FAC, for the h (B, 1 + M, F) of the items (B,)."""
        fine = self.to_fine[0](parts[:, 0])
        pairs = [(fine, linear(parts[:, m])) for m, linear in enumerate(self.to_fine[1:], start=1)]
        if self.to_coarse:
            pairs.append((self.to_coarse[0](fine), self.to_coarse[1](parts[:, -1])))
        total = parts.new_zeros(())
        for (one, other), known in zip(pairs, self.encoder.projections.known, strict=True):
            there = known[items].nonzero().flatten()
            if len(there):
                total = total + info_nce(one[there], other[there], self.params.ssl_temperature)
        return total

    def dropped(self, parts: Tensor) -> Tensor:
        """e (B, F) of the h (B, 1 + M, F), entries of their modalities dropped."""
        modalities = nn.functional.dropout(parts[:, 1:], self.params.dropout)
        return self.encoder.fuse_items(torch.cat([parts[:, :1], modalities], dim=1).flatten(1))

    def masked(self, parts: Tensor) -> Tensor:
        """e (B, F) of the h (B, 1 + M, F), one modality of each item put to 0."""
        drawn = torch.randint(1, parts.shape[1], (len(parts), 1), device=parts.device)
        kept = torch.arange(parts.shape[1], device=parts.device) != drawn
        return self.encoder.fuse_items((parts * kept[:, :, None]).flatten(1))
