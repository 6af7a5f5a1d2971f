"""Policies that fill a row from the items' neighbours in the training interactions.

Symbols: x_i features of item i, m their mean over the observed items, S the co-interaction graph of
`benchmark.data.modalities.graph` (its `top_k` strongest neighbours an item) with rows that sum to 1. What is passed
along the graph is z_i = x_i - m, with z_i = 0 at an item without features: it starts at the mean, not at the origin.
So every filled row is a weighted mean of observed rows and of m, on the scale of the observed rows, and an item that
no observed one reaches stays at m. With `normalise: zscore`, where m = 0, this is the usual start at zero. Observed
rows are never changed.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.sparse import csr_array

from benchmark.data.dataset import Csr
from benchmark.data.modalities.base import Observed, column_blocks, moments
from benchmark.data.modalities.graph import co_interactions, row_normalised

_LEFT_OUT = 1e-8  # total weight of the steps that an infinite sum is cut short by


@dataclass(frozen=True)
class _Propagation(ABC):
    """Deviations from the mean, passed along a graph."""

    top_k: int = 20

    @abstractmethod
    def graph(self, train: Csr, present: np.ndarray) -> csr_array:
        """The graph that `spread` takes."""

    @abstractmethod
    def spread(self, graph: csr_array, deviations: np.ndarray, absent: np.ndarray) -> np.ndarray:
        """Deviations (A, C) of the absent items from those (I, C) of all, 0 at the absent ones."""

    def fill(self, observed: Observed) -> tuple[np.ndarray, int]:
        values, present = observed.values, observed.present
        if observed.train is None:
            raise ValueError(f"{type(self).__name__} needs the training interactions")
        graph = self.graph(observed.train, present)
        absent = np.flatnonzero(~present)
        mean, _ = moments(values, present)
        rows = np.empty((len(absent), values.shape[1]), dtype=np.float32)
        for columns in column_blocks(values):
            deviations = np.where(present[:, None], values[:, columns] - mean[columns], 0.0)
            rows[:, columns] = self.spread(graph, deviations, absent) + mean[columns]
        reached = self.spread(graph, present[:, None].astype(np.float64), absent)
        return rows, int((reached == 0).sum())


@dataclass(frozen=True)
class NeighbourMean(_Propagation):
    """`neighbour_mean`: the plain mean of the `top_k` strongest neighbours among the items with features."""

    policy: ClassVar[str] = "neighbour_mean"

    def graph(self, train: Csr, present: np.ndarray) -> csr_array:
        graph = co_interactions(train, len(present), self.top_k, np.flatnonzero(~present), present)
        graph.data[:] = 1
        return row_normalised(graph)

    def spread(self, graph: csr_array, deviations: np.ndarray, absent: np.ndarray) -> np.ndarray:
        return graph @ deviations


@dataclass(frozen=True)
class MultiHop(_Propagation):
    """`multi_hop`: feature propagation, `hops` times Z <- S Z with the observed rows put back after each hop.

    Rossi et al., "On the Unreasonable Effectiveness of Feature Propagation in Learning on Graphs with Missing Node
    Features", LoG 2022, on the item graph.
    """

    policy: ClassVar[str] = "multi_hop"
    hops: int = 3

    def graph(self, train: Csr, present: np.ndarray) -> csr_array:
        # the observed rows are put back after each hop, so theirs need not be computed
        return row_normalised(co_interactions(train, len(present), self.top_k, np.flatnonzero(~present)))

    def spread(self, graph: csr_array, deviations: np.ndarray, absent: np.ndarray) -> np.ndarray:
        current = deviations.copy()
        for _ in range(self.hops):
            current[absent] = graph @ current
        return current[absent]


@dataclass(frozen=True)
class _Diffusion(_Propagation):
    """A weighted sum over walks of every length k: sum_k w_k S^k Z, the observed rows put back at the end."""

    @abstractmethod
    def weights(self) -> np.ndarray:
        """w_0, w_1, ...: non-negative, their sum 1 up to `_LEFT_OUT`."""

    def graph(self, train: Csr, present: np.ndarray) -> csr_array:
        return row_normalised(co_interactions(train, len(present), self.top_k))

    def spread(self, graph: csr_array, deviations: np.ndarray, absent: np.ndarray) -> np.ndarray:
        weights = self.weights()
        walked = deviations
        total = weights[0] * walked[absent]
        for weight in weights[1:]:
            walked = graph @ walked
            total += weight * walked[absent]
        return total


@dataclass(frozen=True)
class PageRank(_Diffusion):
    """`pagerank`: personalised PageRank, the limit of Z <- (1 - alpha) S Z + alpha Z_0; w_k = alpha (1 - alpha)^k."""

    policy: ClassVar[str] = "pagerank"
    alpha: float = 0.15

    def weights(self) -> np.ndarray:
        steps = 1 if self.alpha == 1 else math.ceil(math.log(_LEFT_OUT) / math.log1p(-self.alpha))
        return self.alpha * (1 - self.alpha) ** np.arange(steps)


@dataclass(frozen=True)
class Heat(_Diffusion):
    """`heat`: the heat kernel exp(-time (I - S)); w_k = exp(-time) time^k / k!."""

    policy: ClassVar[str] = "heat"
    time: float = 1.0

    def weights(self) -> np.ndarray:
        from scipy.stats import poisson  # takes long to load

        return poisson.pmf(np.arange(int(poisson.isf(_LEFT_OUT, self.time)) + 1), self.time)
