"""95 % intervals from resampled means."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special

from workbench.numbers import Number

_TAILS = np.array([0.025, 0.975])


class Interval(NamedTuple):
    """A 95 % interval."""

    low: Number
    high: Number

    @property
    def excludes_zero(self) -> bool:
        """Whether both ends lie on one side of 0."""
        return self.low > 0 or self.high < 0


def percentile(means: np.ndarray) -> np.ndarray:
    """The middle 95 % of the resampled means (R, M): (2, M)."""
    return np.asarray(np.quantile(means, _TAILS, axis=0))


def bca(means: np.ndarray, differences: np.ndarray) -> np.ndarray:
    """Bias-corrected and accelerated interval of the mean of the differences (E, M), resampled as (R, M): (2, M).

    The acceleration is the jackknife's, which for a mean is a sixth of the skewness over the root of E.

    Source: Efron, "Better bootstrap confidence intervals", Journal of the American Statistical Association, 1987.
    """
    observed = differences.mean(axis=0)
    centred = differences - observed
    power = np.sum(centred**2, axis=0) ** 1.5
    acceleration = np.sum(centred**3, axis=0) / (6 * np.where(power > 0, power, 1.0))
    below = ((means < observed).mean(axis=0) + (means <= observed).mean(axis=0)) / 2
    edge = 1 / (len(means) + 1)  # a share of 0 or 1 would send the bias to infinity
    bias = special.ndtri(np.clip(below, edge, 1 - edge))
    shifted = bias + special.ndtri(_TAILS)[:, None]
    return _quantiles(means, special.ndtr(bias + shifted / (1 - acceleration * shifted)))


def _quantiles(values: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Quantiles of the columns of (R, M), each at its own probabilities (2, M), interpolated linearly: (2, M)."""
    ordered = np.sort(values, axis=0)
    place = probabilities * (len(values) - 1)
    lower = np.floor(place).astype(np.intp)
    upper = np.minimum(lower + 1, len(values) - 1)
    start = np.take_along_axis(ordered, lower, axis=0)
    return np.asarray(start + (place - lower) * (np.take_along_axis(ordered, upper, axis=0) - start))
