"""The propagation of NGCF, which NGCF and NGCFM share (Wang et al., SIGIR 2019, eq. 7).

E^(l) = LeakyReLU((A + I) E^(l-1) W1^(l) + (A E^(l-1) * E^(l-1)) W2^(l))        A = D^-1/2 [[0, R], [R^T, 0]] D^-1/2

In training, node dropout silences some nodes: what they send to others (not to themselves) is zero; other nodes for
each layer, drawn once an epoch. Message dropout zeroes entries of the messages. Both scale up what is left.

Message dropout acts on what reaches a node, after its activation, as in the authors' code; for every edge by itself it
would take edges x F values.

`compat: elliot` is what Elliot ran: D^-1 (A + I), A without weights, in both terms and without (A + I); biases in both
maps; every layer but E^(0) read out with rows of length 1. (It also dropped messages in evaluation; that stays out.)
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from benchmark.models.base import TrainingData, TrainingParams
from benchmark.models.graphs import InteractionGraph

_SLOPE = 0.2  # of LeakyReLU; the paper gives none, both codes use this one


class PropagationParams(TrainingParams):
    """factors: F of E^(0). n_layers: of the propagation. node_dropout: share of nodes that send nothing.
    message_dropout: share of message entries that are zeroed. compat: see the module."""

    factors: PositiveInt = 64
    n_layers: PositiveInt = 3
    node_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    message_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    compat: Literal["elliot"] | None = None


class EmbeddingPropagation(nn.Module):
    """W1, W2 of every layer: `sums`, `products`.

    Parameters
    ----------
    sizes : F_0 of E^(0), F_1 of the first layer, ...
    """

    def __init__(self, data: TrainingData, params: PropagationParams, sizes: Sequence[int]) -> None:
        super().__init__()
        self._params, self._compat = params, params.compat == "elliot"
        graph = InteractionGraph.of(data)
        self._adjacency = graph.adjacency("random_walk", self_loops=True) if self._compat else graph.adjacency()
        pairs = list(pairwise(sizes))
        self.sums = nn.ModuleList(nn.Linear(before, after, bias=self._compat) for before, after in pairs)
        self.products = nn.ModuleList(nn.Linear(before, after, bias=self._compat) for before, after in pairs)
        for weight in self.weights():
            nn.init.xavier_uniform_(weight)
        self.message_dropout = nn.Dropout(params.message_dropout)
        self.sending: Tensor | None = None  # (layers, N, 1): what the messages of every node are multiplied by

    def weights(self) -> list[Tensor]:
        """W1 and W2 of every layer."""
        return [linear.weight for linear in (*self.sums, *self.products)]

    def drop_nodes(self, generator: torch.Generator) -> None:
        """Draw the nodes that are silent in this epoch."""
        share = self._params.node_dropout
        draws = torch.rand(len(self.sums), self._adjacency.shape[0], 1, generator=generator, device=generator.device)
        self.sending = (draws >= share) / (1 - share)

    def forward(self, nodes: Tensor) -> list[Tensor]:
        """E^(0) (N, F_0) = `nodes`, E^(1) (N, F_1), ... as they are read out."""
        layers = [nodes]
        for layer, (sums, products) in enumerate(zip(self.sums, self.products, strict=True)):
            sent = nodes * self.sending[layer] if self.training and self.sending is not None else nodes
            received = self._adjacency @ sent
            combined = sums(received if self._compat else received + nodes) + products(received * nodes)
            nodes = self.message_dropout(nn.functional.leaky_relu(combined, _SLOPE))
            layers.append(nn.functional.normalize(nodes) if self._compat else nodes)
        return layers
