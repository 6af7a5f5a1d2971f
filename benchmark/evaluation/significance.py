"""Is a difference more than chance? Paired tests over users, with effect sizes, intervals and Holm's correction.

Values are per user, and row i is the same user in every array.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

RESAMPLES = 10_000
_BLOCK = 2**22  # resampled values held at a time


@dataclass(frozen=True)
class Comparison:
    """Two models on one metric.

    Attributes
    ----------
    first, second, metric : names.
    difference : mean of first - second over users; `low`, `high`: its 95 % bootstrap interval (percentile).
    effect : Cohen's d of the differences (mean over standard deviation), 0 where all are equal.
    p : p-value by the name of the test, two-sided.
    adjusted : the same after Holm's correction over the pairs of models that were compared on this metric.
    """

    first: str
    second: str
    metric: str
    difference: float
    low: float
    high: float
    effect: float
    p: dict[str, float]
    adjusted: dict[str, float]


def paired_ttest(first: np.ndarray, second: np.ndarray) -> float:
    """Student's t on the differences; 1 where there are none."""
    differences = first - second
    if len(differences) < 2 or not differences.any():
        return 1.0
    if np.allclose(differences, differences[0], rtol=1e-9, atol=0):
        return 0.0  # the same difference for everyone: t is infinite
    return float(stats.ttest_rel(first, second).pvalue)


def wilcoxon(first: np.ndarray, second: np.ndarray) -> float:
    """Wilcoxon's signed ranks, zero differences left out; 1 where there are none."""
    differences = first - second
    return float(stats.wilcoxon(differences, zero_method="wilcox").pvalue) if differences.any() else 1.0


def permutation(differences: np.ndarray, seed: int = 0, resamples: int = RESAMPLES) -> np.ndarray:
    """Share of random sign flips of the differences (E, C) with a mean at least as far from 0: (C,).

    The observed differences count as one of the flips. All columns share the draws.
    """
    observed = np.abs(differences.sum(axis=0))
    generator = np.random.default_rng(seed)
    beyond = np.zeros(differences.shape[1])
    for count in _blocks(len(differences), resamples):
        signs = generator.integers(0, 2, size=(count, len(differences)), dtype=np.int8) * 2.0 - 1
        beyond += (np.abs(signs @ differences) >= observed - 1e-12).sum(axis=0)
    return np.asarray((beyond + 1) / (resamples + 1))


def bootstrap_interval(
    differences: np.ndarray, seed: int = 0, resamples: int = RESAMPLES, level: float = 0.95
) -> np.ndarray:
    """Percentile interval of the mean differences (E, C) over users drawn with replacement: (2, C).

    All columns share the draws: a resample is a count for every user, so its means are one product.
    """
    generator = np.random.default_rng(seed)
    size = len(differences)
    means = []
    for count in _blocks(size, resamples):
        drawn = generator.integers(0, size, size=(count, size)) + size * np.arange(count)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=count * size).reshape(count, size)
        means.append(weights @ differences / size)
    return np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2], axis=0)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction: the i-th smallest of m is multiplied by m - i + 1, kept monotone, at most 1."""
    order = np.argsort(p_values, kind="stable")
    factors = len(p_values) - np.arange(len(p_values))
    adjusted = np.minimum(np.maximum.accumulate(np.asarray(p_values)[order] * factors), 1.0)
    result = np.empty(len(p_values))
    result[order] = adjusted
    return [float(value) for value in result]


_PAIRWISE: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "paired_ttest": paired_ttest,
    "wilcoxon_test": wilcoxon,
}


def compare(values: dict[str, np.ndarray], metrics: Sequence[str], tests: Sequence[str]) -> list[Comparison]:
    """Every pair of models on every metric, metric by metric.

    Parameters
    ----------
    values : model -> per-user values (E, M), a column a metric, rows in the same order of users for all models.
    tests : of `paired_ttest`, `wilcoxon_test` and `permutation_test`.
    """
    names = list(values)
    pairs = [(first, second) for place, first in enumerate(names) for second in names[place + 1 :]]
    differences = np.stack([values[first] - values[second] for first, second in pairs], axis=2)  # (E, M, pairs)
    columns = differences.reshape(len(differences), -1)
    low, high = bootstrap_interval(columns).reshape(2, len(metrics), len(pairs))
    flips = permutation(columns).reshape(len(metrics), len(pairs)) if "permutation_test" in tests else None
    comparisons = []
    for column, metric in enumerate(metrics):
        p = {
            test: [run(values[first][:, column], values[second][:, column]) for first, second in pairs]
            for test, run in _PAIRWISE.items()
            if test in tests
        }
        if flips is not None:
            p["permutation_test"] = flips[column].tolist()
        adjusted = {test: holm(found) for test, found in p.items()}
        for place, (first, second) in enumerate(pairs):
            difference = differences[:, column, place]
            spread = difference.std(ddof=1) if len(difference) > 1 else 0.0
            comparisons.append(
                Comparison(
                    first,
                    second,
                    metric,
                    float(difference.mean()),
                    float(low[column, place]),
                    float(high[column, place]),
                    float(difference.mean() / spread) if spread else 0.0,
                    {test: p[test][place] for test in tests},
                    {test: adjusted[test][place] for test in tests},
                )
            )
    return comparisons


def _blocks(size: int, resamples: int) -> list[int]:
    """Resamples a block, so that a block holds a bounded number of values."""
    most = max(1, _BLOCK // max(size, 1))
    return [min(most, resamples - done) for done in range(0, resamples, most)]
