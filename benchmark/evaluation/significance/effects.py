"""How large a difference is, apart from how sure."""

from __future__ import annotations

import numpy as np
from scipy import special


def cohens_d(differences: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cohen's d_z of the differences (E, M), mean over standard deviation: values (M,) and 95 % intervals (2, M).

    The interval is d_z -+ 1.96 of its large-sample standard error by the delta method,

        sqrt((1 - d_z g + d_z^2 (k - 1) / 4) / E),  g: skewness, k: kurtosis (3 for a normal distribution),

    which assumes no normal distribution. 0 where all differences are 0, infinite where everyone has the same other
    difference, NaN with a single user.
    """
    size = len(differences)
    mean = differences.mean(axis=0)
    if size < 2:
        return np.full_like(mean, np.nan), np.full((2, len(mean)), np.nan)
    varied = np.ptp(differences, axis=0) > 0
    spread = np.where(varied, differences.std(axis=0, ddof=1), 1.0)
    constant = np.where(mean == 0, 0.0, np.copysign(np.inf, mean))
    effect = np.where(varied, mean / spread, constant)
    finite = np.where(varied, effect, 0.0)
    standard = (differences - mean) / np.where(varied, differences.std(axis=0), 1.0)
    skewness, kurtosis = (standard**3).mean(axis=0), (standard**4).mean(axis=0)
    # never negative in theory (k >= 1 + g^2), but a rounding can make it so
    variance = np.maximum(1 - finite * skewness + finite**2 * (kurtosis - 1) / 4, 0.0) / size
    reach = special.ndtri(0.975) * np.sqrt(variance)
    return effect, np.where(varied, [effect - reach, effect + reach], constant)


def rank_biserial(differences: np.ndarray) -> np.ndarray:
    """Matched-pairs rank-biserial correlation of the differences (E, M): (M,) within -1 .. 1.

    (sum of the ranks of positive differences - that of negative ones) / sum of all ranks; ranks are of the absolute
    differences that are not 0. 0 where all are.

    Source: Kerby, "The simple difference formula", Comprehensive Psychology, 2014.
    """
    from scipy.stats import rankdata  # takes long to load

    result = np.zeros(differences.shape[1])
    for place, column in enumerate(np.ascontiguousarray(differences.T)):
        left = column[column != 0]
        if len(left):
            ranks = rankdata(np.abs(left))
            result[place] = ranks @ np.sign(left) / ranks.sum()
    return result
