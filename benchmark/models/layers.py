"""Layers that several models share."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from benchmark.models.base import Features
from benchmark.models.graphs.sparse import SparseMatrix


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
        """(B, F) of the items (B,), or (I, F) of all, for each modality; an item that is asked for twice is projected
        twice."""
        found = []
        for linear, values, known in zip(self.maps, self.values, self.known, strict=True):
            rows, there = (values, known) if items is None else (nn.functional.embedding(items, values), known[items])
            found.append(linear(rows.to(next(linear.parameters()).dtype)) * there[:, None])
        return found


def xavier(rows: int, columns: int) -> nn.Parameter:
    """A table (rows, columns) of trained weights, Xavier-uniform (Glorot and Bengio, AISTATS 2010)."""
    return nn.Parameter(nn.init.xavier_uniform_(torch.empty(rows, columns)))
