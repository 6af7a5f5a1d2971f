"""Two-sided tests that need no resampling: paired t and Wilcoxon over users, Welch's t over seeds."""

from __future__ import annotations

import numpy as np
from scipy import special

from benchmark.evaluation.significance.intervals import Interval

_GRID_BITS = 40  # differences below 2^-40 (9e-13) of the largest value are the rounding of sums, not data


def on_grid(values: np.ndarray, largest: np.ndarray | float) -> np.ndarray:
    """Values rounded to the multiples of 2^-40 of (the power of two above) `largest`.

    The mean of 0.2 and 0.6 over two seeds is not exactly 0.4, and 0.6 - 0.4 is not exactly 0.2: without the grid, equal
    values would get different ranks, and a zero difference would count as one.
    """
    unit = np.ldexp(1.0, np.frexp(largest)[1] - _GRID_BITS)
    return np.asarray(np.round(values / unit) * unit)


def paired_differences(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """first - second (E, M), free of rounding noise: equal differences are equal, and those of equal values 0."""
    return on_grid(first - second, np.maximum(np.abs(first).max(axis=0), np.abs(second).max(axis=0)))


def paired_ttest(differences: np.ndarray) -> np.ndarray:
    """Student's t on the differences (E, M), E - 1 degrees of freedom: p-values (M,).

    1 where all differences are 0 or there is only one user; 0 where everyone has the same difference (t is infinite).
    """
    size = len(differences)
    mean = differences.mean(axis=0)
    if size < 2:
        return np.ones_like(mean)
    varied = np.ptp(differences, axis=0) > 0
    error = np.where(varied, differences.std(axis=0, ddof=1) / np.sqrt(size), 1.0)
    p = 2 * special.stdtr(size - 1, -np.abs(mean) / error)
    return np.asarray(np.where(varied, p, np.where(mean == 0, 1.0, 0.0)))


def wilcoxon(differences: np.ndarray) -> np.ndarray:
    """Wilcoxon's signed ranks on the differences (E, M), zeros left out, ties at their mean rank: p-values (M,).

    Exact for up to 50 users without ties or zeros, else by the normal approximation (scipy's rule). 1 where all
    differences are 0.
    """
    from scipy import stats  # takes long to load, and not every table asks for it

    return np.array(
        [
            stats.wilcoxon(column, zero_method="wilcox").pvalue if column.any() else 1.0
            for column in np.ascontiguousarray(differences.T)
        ]
    )


def welch(first: np.ndarray, second: np.ndarray) -> tuple[float, Interval]:
    """Welch's t on the values of the replicates of two models, (S1,) and (S2,), both at least 2 long.

    Returns the p-value and the 95 % interval of the difference of the means, at Satterthwaite's degrees of freedom.
    Where no replicate differs from its mean, p is 1 for equal means and 0 otherwise.
    """
    difference = float(first.mean() - second.mean())
    variances = [float(each.var(ddof=1)) / len(each) if np.ptp(each) > 0 else 0.0 for each in (first, second)]
    error = float(np.sqrt(sum(variances)))
    if error == 0:
        return (1.0 if difference == 0 else 0.0), Interval(difference, difference)
    freedom = satterthwaite(variances, [len(first) - 1, len(second) - 1])
    reach = float(special.stdtrit(freedom, 0.975)) * error
    return float(2 * special.stdtr(freedom, -abs(difference) / error)), Interval(difference - reach, difference + reach)


def satterthwaite(variances: list[float], freedoms: list[int]) -> float:
    """Degrees of freedom of a sum of independent variance estimates, of which at least one is not 0."""
    total = sum(variances)
    shares = [(variance / total, freedom) for variance, freedom in zip(variances, freedoms, strict=True)]
    return 1 / sum(share**2 / freedom for share, freedom in shares if share)
