"""Policies for items without features; those that ask the items' neighbours are in `propagation`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from benchmark.data.modalities.base import Imputer, Observed, moments, noise_like
from benchmark.data.modalities.propagation import Heat, MultiHop, NeighbourMean, PageRank


def _count_absent(observed: Observed) -> int:
    return int((~observed.present).sum())


@dataclass(frozen=True)
class Zeros:
    """`zeros`: rows of zeros."""

    policy: ClassVar[str] = "zeros"

    def fill(self, observed: Observed) -> tuple[np.ndarray, int]:
        return np.zeros((_count_absent(observed), observed.values.shape[1]), dtype=np.float32), 0


@dataclass(frozen=True)
class Mean:
    """`mean`: the mean of the observed rows."""

    policy: ClassVar[str] = "mean"

    def fill(self, observed: Observed) -> tuple[np.ndarray, int]:
        mean = moments(observed.values, observed.present)[0].astype(np.float32)
        return np.tile(mean, (_count_absent(observed), 1)), 0


@dataclass(frozen=True)
class Noise:
    """`random`: normal noise with the mean and standard deviation of every column of the observed rows.

    Published code often draws from U(0, 1), whatever the scale of the features; this noise lies where the features lie.
    """

    policy: ClassVar[str] = "random"

    def fill(self, observed: Observed) -> tuple[np.ndarray, int]:
        return noise_like(observed.values, observed.present, _count_absent(observed), observed.generator), 0


POLICIES: dict[str, type[Imputer]] = {
    kind.policy: kind for kind in (Zeros, Mean, Noise, NeighbourMean, MultiHop, PageRank, Heat)
}
