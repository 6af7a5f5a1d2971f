"""MostPop: items by their number of training interactions, the same for everyone."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmark.models.base import Histories, Params, Recommender, Scorer, TrainingData


class MostPop(Recommender):
    """Score of an item = its count in training; equal counts rank by item number, the lower first."""

    without_effect = {"seed": "nothing is drawn"}

    def __init__(self, params: Params, data: TrainingData) -> None:
        super().__init__()
        self.register_buffer("counts", torch.bincount(data.items, minlength=data.n_items).float())

    counts: Tensor

    def scorer(self) -> Scorer:
        return lambda users: self.counts.repeat(len(users), 1)

    def fold_in_scorer(self, histories: Histories) -> Scorer:
        return self.scorer()
