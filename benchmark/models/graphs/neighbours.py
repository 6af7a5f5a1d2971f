"""Item graphs of nearest neighbours by the cosine of features; no I x I matrix is ever held."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from benchmark.models.base import Features, TrainingData
from benchmark.models.graphs.normalisation import Normalisation, normalised
from benchmark.models.graphs.sparse import SparseMatrix
from benchmark.models.precision import single_or_more
from workbench.files import fingerprint

_BLOCK_BYTES = 128 * 2**20  # similarities held at a time; fewer rows a block would read the features more often


class Neighbours(NamedTuple):
    """The nearest neighbours of every item, the nearest first.

    items : (I, k) int64; similarities : (I, k) float32; both -1 and 0 where an item has fewer.
    """

    items: Tensor
    similarities: Tensor


def cosine_neighbours(features: Tensor, known: Tensor, k: int) -> Neighbours:
    """The k other items with the largest cosine of their features.

    Parameters
    ----------
    features : (I, D).
    known : (I,) bool; items without features have no neighbours and are none.
    k : at most I - 1 are found.
    """
    n_items, k = len(features), min(k, len(features) - 1)
    with torch.no_grad(), torch.autocast(features.device.type, enabled=False):
        features = single_or_more(features)
        lengths = torch.linalg.vector_norm(features, dim=1)
        reciprocal = torch.where(known & (lengths > 0), 1 / lengths.clamp(min=torch.finfo(lengths.dtype).tiny), 0)
        absent = (reciprocal == 0).nonzero().flatten()
        items = torch.empty(n_items, k, dtype=torch.long, device=features.device)
        similarities = reciprocal.new_empty(n_items, k)  # at once: what is kept between blocks would scatter the memory
        for rows in torch.arange(n_items, device=features.device).split(max(1, _BLOCK_BYTES // (4 * n_items))):
            block = (features[rows] * reciprocal[rows, None]) @ features.t()  # divided here: no copy of all features
            block *= reciprocal
            block[:, absent] = -torch.inf
            block[torch.arange(len(rows), device=rows.device), rows] = -torch.inf
            nearest = torch.topk(block, k)
            found = (nearest.values > -torch.inf) & (reciprocal[rows, None] > 0)
            items[rows], similarities[rows] = nearest.indices.where(found, -1), nearest.values.where(found, 0.0)
        return Neighbours(items, similarities)


def neighbour_graph(
    data: TrainingData,
    features: Features,
    k: int,
    weights: Literal["binary", "cosine"],
    normalisation: Normalisation = "symmetric",
) -> SparseMatrix:
    """The normalised graph (I, I) of one modality, made once for all trials on this data.

    As in LATTICE and its successors an item is the first of its own k neighbours. Edges weigh 1, or the cosine of the
    two items, negative ones 0. Rows and columns of items without features are empty.
    """

    def make() -> SparseMatrix:
        found = cosine_neighbours(features.values, features.known, k - 1)
        similarities = found.similarities.clamp(min=0)
        return normalised(
            self_and_neighbours(found.items, torch.ones_like(similarities) if weights == "binary" else similarities,
                                features.known),
            normalisation,
        )  # fmt: skip

    return data.derived(fingerprint(["neighbours", features.digest, k, weights, normalisation]), make)


def self_and_neighbours(items: Tensor, weights: Tensor, known: Tensor) -> SparseMatrix:
    """The graph (I, I) with a loop of weight 1 at every known item and edges to its neighbours (I, k - 1), -1 for none.

    `weights` (I, k - 1) may want gradients.
    """
    n_items = len(items)
    numbers = torch.arange(n_items, device=items.device)
    loops = numbers[known]
    there = items >= 0
    rows = torch.cat([loops, numbers[:, None].expand_as(items)[there]])
    columns = torch.cat([loops, items[there]])
    values = torch.cat([torch.ones(len(loops), device=items.device, dtype=weights.dtype), weights[there]])
    return SparseMatrix.from_entries(rows, columns, values, (n_items, n_items))
