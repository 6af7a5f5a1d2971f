"""AttributeItemKNN: items whose content is like that of the items the user has (content-based nearest neighbours; as in
Lops et al., Recommender Systems Handbook, 2011, with the shrink of Ferrari Dacrema et al., RecSys 2019).

sim_m(i, j) = f_i . f_j / (|f_i| |f_j| + shrink)      f_i: the features of item i in modality m
sim(i, j)   = mean of sim_m(i, j) over the modalities m of which both items have features; none: 0
score(u, i) = sum over j in N(i) that u has of sim(i, j)

N(i): the `neighbors` items j != i with training rows and the largest positive sim(i, j); ties: the lower number.
`similarity: adjusted` subtracts from every f the mean over the items that have training rows and features.

Nothing is asked of i but its features, so items without training rows are scored like all others. An item without
features is nobody's neighbour and scores 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from pydantic import NonNegativeFloat, PositiveInt
from scipy.sparse import csr_array
from torch import Tensor

from benchmark.evaluation.ranking import top_k
from benchmark.models import base
from benchmark.models.base import Features, MultimodalParams, TrainingData
from benchmark.models.profiles import ItemWeights

_BLOCK_VALUES = 1 << 22  # similarities of one modality held at a time


class AttributeItemKNN(ItemWeights):
    """`weights` (I, I) sparse: entry (j, i) is sim(i, j) for j in N(i)."""

    class Params(base.Params, MultimodalParams):
        """neighbors: kept of each item. similarity, shrink: see the module."""

        neighbors: PositiveInt = 40
        similarity: Literal["cosine", "adjusted"] = "cosine"
        shrink: NonNegativeFloat = 0.0

    scores_new_items: ClassVar[bool] = True
    without_effect = {"seed": "nothing is drawn"}

    def __init__(self, params: Params, data: TrainingData) -> None:
        super().__init__(params, data)
        trained = torch.bincount(data.items, minlength=data.n_items) > 0
        modalities = list(data.take_modalities(params.wanted).values())
        self.weights = _neighbours(modalities, trained, params).T.tocsr()


def _neighbours(modalities: Sequence[Features], trained: Tensor, params: AttributeItemKNN.Params) -> csr_array:
    """Similarities (I, I) of each item to its neighbours, which are among the `trained` items (I,) bool."""
    n_items, device = len(trained), trained.device
    untrained = (~trained).nonzero().flatten()
    vectors = [_centred(each, trained) if params.similarity == "adjusted" else each.values for each in modalities]
    lengths = [torch.linalg.vector_norm(each, dim=1) for each in vectors]
    known = torch.stack([each.known for each in modalities], dim=1).float()
    found = []
    for items in torch.arange(n_items, device=device).split(max(1, _BLOCK_VALUES // n_items)):
        total = torch.zeros(len(items), n_items, device=device)
        for features, length in zip(vectors, lengths, strict=True):
            norms = torch.outer(length[items], length).add_(params.shrink)
            total += (features[items] @ features.t()).div_(norms.clamp_(min=torch.finfo(norms.dtype).tiny))
        total.div_((known[items] @ known.t()).clamp_(min=1))
        torch.threshold_(total, 0, -torch.inf).index_fill_(1, untrained, -torch.inf)
        total[torch.arange(len(items), device=device), items] = -torch.inf
        values, others = top_k(total, min(params.neighbors, n_items))
        rows, places = torch.nonzero(values > 0, as_tuple=True)
        found.append((values[rows, places], items[rows], others[rows, places]))
    entries = [torch.cat(each).cpu().numpy() for each in zip(*found, strict=True)]
    return csr_array((entries[0], (entries[1], entries[2])), shape=(n_items, n_items))


def _centred(features: Features, trained: Tensor) -> Tensor:
    """(I, D): features less their mean over the items that have training rows; zero where there are none."""
    seen = (trained & features.known).float()
    means = seen @ features.values / seen.sum().clamp(min=1)
    return (features.values - means) * features.known[:, None]
