"""MultiDAE: a denoising autoencoder with a multinomial likelihood (Liang et al., WWW 2018).

The formulas are those of `benchmark/models/autoencoder.py`; the code is tanh of what the encoder gives.

`recipe: official`: rows scaled to length 1, no hidden layer (I - 200 - I), 200 epochs in batches of 500, weight_decay
.01 / 500. `recipe: igui`, the variant of Align-MacridVAE's program: rows as they are, a hidden layer of 3 d, 50 epochs
in batches of 100, weight_decay 1e-4. Departure: torch's initial weights.
"""

from __future__ import annotations

import torch
from torch import Tensor

from benchmark.models.autoencoder import AutoencoderParams, RowAutoencoder
from benchmark.models.base import TrainingData
from benchmark.models.graphs.sparse import Pattern


class MultiDAE(RowAutoencoder):
    class Params(AutoencoderParams):
        RECIPES = {
            "official": {"normalise_input": True, "hidden": 0, "epochs": 200, "batch_size": 500, "weight_decay": 2e-5},
            "igui": {"normalise_input": False, "weight_decay": 1e-4},
        }

    def __init__(self, params: Params, data: TrainingData) -> None:
        super().__init__(params, data, params.dfac)

    def code(self, encoded: Tensor) -> Tensor:
        return torch.tanh(encoded)

    def loss(self, batch: Pattern) -> Tensor:
        return self.reconstruction(batch, self.code(self.encoded(batch)))
