"""MacridVAE: disentangled representations of what users want (Ma et al., NeurIPS 2019).

The formulas are those of `benchmark/models/macrid.py`, with one vector an item, drawn at random:

score(u, i) = L_ui = s_ui - log sum_j exp(s_uj)      s_ui = log sum_k c_ik exp(cos(z_uk, h_i) / tau)

`recipe: official` (the default) follows the paper and its authors' program, `recipe: igui` the variant that
Align-MacridVAE builds on. Departures: weights are named for what they are, the hidden layer has 3 d values by default
(the authors': d), d is 200 and batches have 100 users (100 and 500), and softmax is over the items of the catalogue.
"""

from __future__ import annotations

import torch
from torch import nn

from benchmark.models.base import TrainingData
from benchmark.models.macrid import MacridParams, MacridRecommender


class MacridVAE(MacridRecommender):
    """h: `items` (I, d)."""

    Params = MacridParams

    def __init__(self, params: MacridParams, data: TrainingData) -> None:
        super().__init__(params, data)
        self.items = nn.Parameter(nn.init.xavier_normal_(torch.empty(data.n_items, params.dfac)))
