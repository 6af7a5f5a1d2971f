"""MultiVAE: a variational autoencoder with a multinomial likelihood, Mult-VAE (Liang et al., WWW 2018).

The formulas are those of `benchmark/models/autoencoder.py`. The encoder gives a_u and l_u; the code is a_u, in training

    z_u ~ N(a_u, exp(l_u) I)

loss = reconstruction + a_t mean over u of 1/2 sum_d (exp(l) + a^2 - 1 - l)        a_t = min(beta, t / T), t the step

`recipe: official`: rows scaled to length 1, T = 200,000. `recipe: igui`, the variant of Align-MacridVAE's program: rows
as they are, T of 500 epochs, weight_decay 1e-4.
"""

from __future__ import annotations

import torch
from torch import Tensor

from benchmark.models.autoencoder import AutoencoderParams, RowAutoencoder
from benchmark.models.base import TrainingData
from benchmark.models.graphs.sparse import Pattern
from benchmark.models.recipes import AnnealedParams, Annealing


class MultiVAE(RowAutoencoder):
    class Params(AutoencoderParams, AnnealedParams):
        RECIPES = {
            "official": {"normalise_input": True, "anneal_steps": 200_000},
            "igui": {"normalise_input": False, "weight_decay": 1e-4},
        }
        ANNEAL_EPOCHS = {"igui": 500}

    def __init__(self, params: Params, data: TrainingData) -> None:
        super().__init__(params, data, 2 * params.dfac)
        self.annealing = Annealing(params, len(self.sampler()))

    def code(self, encoded: Tensor) -> Tensor:
        return encoded.chunk(2, dim=1)[0]

    def loss(self, batch: Pattern) -> Tensor:
        means, log_variances = self.encoded(batch).chunk(2, dim=1)
        drawn = means + (log_variances / 2).exp() * torch.randn_like(means)
        divergence = (log_variances.exp() + means.square() - 1 - log_variances).sum(dim=1).mean() / 2
        return self.reconstruction(batch, drawn) + self.annealing() * divergence
