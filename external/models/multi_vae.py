"""MultiVAE: a variational autoencoder with a multinomial likelihood, Mult-VAE (Liang et al., WWW 2018).

The formulas are those of `benchmark/models/autoencoder.py`. The encoder gives a_u and l_u; the code is a_u, in training

    z_u ~ N(a_u, diag(exp l_u))

loss = reconstruction + beta_t mean over u of 1/2 sum_d (exp(l) + a^2 - 1 - l)     beta_t = min(beta, t / T), step t

`recipe: official`: rows scaled to length 1, 200 epochs in batches of 500, T of 857 epochs (the paper's 200,000 updates
on ML-20M). `recipe: igui`, the variant of Align-MacridVAE's program: rows as they are, 50 epochs in batches of 100, T
of 500 epochs, weight_decay 1e-4. Departure: torch's initial weights.
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
            "official": {"normalise_input": True, "epochs": 200, "batch_size": 500},
            "igui": {"normalise_input": False, "weight_decay": 1e-4},
        }
        ANNEAL_EPOCHS = {"official": 857, "igui": 500}

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
