"""Layers that several models share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.models.base import Features, TrainingData
from benchmark.models.graphs.interactions import InteractionGraph
from benchmark.models.graphs.sparse import SparseMatrix
from benchmark.models.precision import single_or_more

_SHORTEST = 1e-12  # what a length is at least, before it divides


def mean_of_layers(adjacency: SparseMatrix, nodes: Tensor, n_layers: int) -> Tensor:
    """(X + A X + A^2 X + ... + A^L X) / (L + 1), X the nodes (N, F) (LightGCN: He et al., SIGIR 2020, eq. 8)."""
    total = layer = nodes
    for _ in range(n_layers):
        layer = adjacency @ layer
        total = total + layer
    return total / (n_layers + 1)


class Projections(nn.Module):
    """A linear map of each modality to vectors of one size; an item without features of a modality is mapped to zero.

    Parameters
    ----------
    features : the modalities, by name.
    size : F.
    trainable : whether the features themselves are weights, which start as the ones given.

    Attributes
    ----------
    names : of the modalities, in the order of all lists here.
    known, values : one (I,) bool and one (I, D) a modality.
    """

    def __init__(self, features: Mapping[str, Features], size: int, bias: bool = True, trainable: bool = False) -> None:
        super().__init__()
        self.names = tuple(features)
        self.known = [each.known for each in features.values()]
        given = [each.values for each in features.values()]
        self.values = nn.ParameterList(each.clone() for each in given) if trainable else given
        self.maps = nn.ModuleList(nn.Linear(each.values.shape[1], size, bias) for each in features.values())

    def __len__(self) -> int:
        return len(self.names)

    def forward(self, items: Tensor | None = None) -> list[Tensor]:
        """(B, F) of the items (B,), or (I, F) of all, for each modality, in single precision or more; an item that is
        asked for twice is projected twice."""
        found = []
        for linear, values, known in zip(self.maps, self.values, self.known, strict=True):
            rows, there = (values, known) if items is None else (nn.functional.embedding(items, values), known[items])
            projected = single_or_more(linear(rows.to(next(linear.parameters()).dtype)))  # for who divides by lengths
            found.append(projected.where(there[:, None], 0))
        return found


class ConcatenatedView(nn.Linear):
    """One linear map of all of an item's features, to vectors of length 1 (VBPR, NGCFM).

    p_i = normalise(W f_i + b)        f_i = concatenation of i's modalities, zeros for those that it lacks

    An item that lacks them all has p_i = 0. W: `weight` (F, D), b: `bias` (F,).

    Attributes
    ----------
    features : (I, D), the f_i.
    known : (I,) bool, whether an item has features of any modality.
    """

    def __init__(self, modalities: Mapping[str, Features], size: int) -> None:
        features = torch.cat([each.values for each in modalities.values()], dim=1)
        super().__init__(features.shape[1], size)
        self.features = features
        self.known = torch.stack([each.known for each in modalities.values()]).any(dim=0)

    def forward(self, items: Tensor | None = None) -> Tensor:
        """p (B, F) of the items (B,), or (I, F) of all, in single precision or more."""
        rows, known = (self.features, self.known) if items is None else (self.features[items], self.known[items])
        projected = single_or_more(super().forward(rows.to(self.weight.dtype)))
        return nn.functional.normalize(projected.where(known[:, None], 0))


def xavier(rows: int, columns: int) -> nn.Parameter:
    """A table (rows, columns) of trained weights, Xavier-uniform (Glorot and Bengio, AISTATS 2010)."""
    return nn.Parameter(nn.init.xavier_uniform_(torch.empty(rows, columns)))


def item_weights(data: TrainingData, columns: int) -> nn.Parameter:
    """(I, columns), Xavier-uniform; 0 for items without training rows, whose score is then of their features alone.

    Such a row gets no gradient of its own, and as it was drawn it would be noise in the scores of a new item.
    """
    return _without_new_items(xavier(data.n_items, columns), data)


def node_weights(data: TrainingData, columns: int) -> nn.Parameter:
    """(U + I, columns) of users and items, Xavier-uniform; 0 for items without training rows, as in `item_weights`."""
    return _without_new_items(xavier(data.n_users + data.n_items, columns), data)


def _without_new_items(weights: nn.Parameter, data: TrainingData) -> nn.Parameter:
    with torch.no_grad():
        weights[-data.n_items :][InteractionGraph.of(data).item_degrees.cpu() == 0] = 0
    return weights


def unit_rows(rows: Tensor) -> Tensor:
    """Rows (N, F) of length 1; rows of zeros stay. As torch's `normalize`, whose gradient holds four more of them."""
    with torch.autocast(rows.device.type, enabled=False):
        found: Tensor = _UnitRows.apply(single_or_more(rows))
        return found


class _UnitRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        lengths = torch.linalg.vector_norm(rows, dim=1, keepdim=True).clamp(min=_SHORTEST)
        unit = rows / lengths
        ctx.save_for_backward(unit, lengths)
        return unit

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        unit, lengths = ctx.saved_tensors
        along = torch.linalg.vecdot(gradients[0], unit)[:, None]
        return torch.addcmul(gradients[0], unit, along, value=-1).div_(lengths)
