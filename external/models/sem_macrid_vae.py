"""SEM-MacridVAE: MacridVAE that begins with what the items' features tell (Wang et al., IEEE TPAMI 2022).

The formulas are those of `benchmark/models/macrid.py`, with one vector an item that starts from content:

    h_i = sqrt(2 / (I + d)) (p_i - mean of p_i) / deviation of p_i        p_i: d principal components of i's features
    m_k = the means of k-means among the h_i

and both are trained from there. An item that lacks every modality starts at random, one that lacks some has zeros
there.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from benchmark.models.alignment import AlignmentParams, align, kept_concept_cores
from benchmark.models.base import Features, MultimodalParams, TrainingData
from benchmark.models.macrid import MacridParams, MacridRecommender


class SEMMacridVAE(MacridRecommender):
    """h: `items` (I, d)."""

    class Params(MacridParams, MultimodalParams):
        dfac: Annotated[int, Field(ge=2)] = 200  # of one number there is no deviation

    def __init__(self, params: Params, data: TrainingData) -> None:
        super().__init__(params, data)
        modalities = list(data.take_modalities(params.wanted).values())
        features = data.derived(f"joined {[each.digest for each in modalities]}", lambda: _joined(modalities))
        known = features.known
        components = align(data, {"all features": features}, params.dfac, AlignmentParams(method="pca"), 0).vectors[0]
        deviations, means = torch.std_mean(components, dim=1, keepdim=True, correction=0)
        table = (components - means) / deviations.clamp(min=1e-12) * (2 / (data.n_items + params.dfac)) ** 0.5
        drawn = nn.init.xavier_normal_(torch.empty(data.n_items, params.dfac)).to(data.device)
        self.items = nn.Parameter(table.where(known[:, None], drawn))
        self.cores = nn.Parameter(kept_concept_cores(data, table[known], params.kfac, params.seed, False).clone())


def _joined(modalities: list[Features]) -> Features:
    """All features of an item side by side, known where any of them is."""
    known = torch.stack([each.known for each in modalities]).any(dim=0)
    return Features(torch.cat([each.values for each in modalities], dim=1), known)
