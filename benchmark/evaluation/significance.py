"""Is a difference more than chance? Paired tests over users, with effect sizes, intervals and Holm's correction.

Every function takes two arrays (E,) of per-user values of one metric, row i of both the same user.
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


def permutation(first: np.ndarray, second: np.ndarray, seed: int = 0, resamples: int = RESAMPLES) -> float:
    """Share of random sign flips of the differences with a mean at least as far from 0; the observed one counts."""
    differences = first - second
    observed = abs(differences.sum())
    generator = np.random.default_rng(seed)
    beyond = 0
    for count in _blocks(len(differences), resamples):
        signs = generator.integers(0, 2, size=(count, len(differences)), dtype=np.int8) * 2.0 - 1
        beyond += int((np.abs(signs @ differences) >= observed - 1e-12).sum())
    return (beyond + 1) / (resamples + 1)


def bootstrap_interval(
    differences: np.ndarray, seed: int = 0, resamples: int = RESAMPLES, level: float = 0.95
) -> tuple[float, float]:
    """Percentile interval of the mean difference (E,) over users drawn with replacement."""
    generator = np.random.default_rng(seed)
    size = len(differences)
    means = [
        differences[generator.integers(0, size, size=(count, size))].mean(axis=1) for count in _blocks(size, resamples)
    ]
    low, high = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction: the i-th smallest of m is multiplied by m - i + 1, kept monotone, at most 1."""
    order = np.argsort(p_values, kind="stable")
    factors = len(p_values) - np.arange(len(p_values))
    adjusted = np.minimum(np.maximum.accumulate(np.asarray(p_values)[order] * factors), 1.0)
    result = np.empty(len(p_values))
    result[order] = adjusted
    return [float(value) for value in result]


TESTS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "paired_ttest": paired_ttest,
    "wilcoxon_test": wilcoxon,
    "permutation_test": permutation,
}


def compare(values: dict[str, np.ndarray], metric: str, tests: Sequence[str]) -> list[Comparison]:
    """Every pair of models on one metric; `values` maps models to per-user arrays (E,)."""
    names = list(values)
    pairs = [(first, second) for place, first in enumerate(names) for second in names[place + 1 :]]
    p = {test: [TESTS[test](values[first], values[second]) for first, second in pairs] for test in tests}
    adjusted = {test: holm(found) if found else [] for test, found in p.items()}
    comparisons = []
    for place, (first, second) in enumerate(pairs):
        differences = values[first] - values[second]
        spread = differences.std(ddof=1) if len(differences) > 1 else 0.0
        comparisons.append(
            Comparison(
                first,
                second,
                metric,
                float(differences.mean()),
                *bootstrap_interval(differences),
                float(differences.mean() / spread) if spread else 0.0,
                {test: found[place] for test, found in p.items()},
                {test: found[place] for test, found in adjusted.items()},
            )
        )
    return comparisons


def _blocks(size: int, resamples: int) -> list[int]:
    """Resamples a block, so that a block holds a bounded number of values."""
    most = max(1, _BLOCK // max(size, 1))
    return [min(most, resamples - done) for done in range(0, resamples, most)]
