"""Every pair of models on every metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from loguru import logger
from scipy import special

from benchmark.evaluation.significance.correction import holm
from benchmark.evaluation.significance.effects import cohens_d, rank_biserial
from benchmark.evaluation.significance.intervals import Interval, bca, percentile
from benchmark.evaluation.significance.resampling import (
    RESAMPLES,
    bootstrap_means,
    share_beyond,
    sign_flip_means,
)
from benchmark.evaluation.significance.tests import (
    on_grid,
    paired_differences,
    paired_ttest,
    satterthwaite,
    welch,
    wilcoxon,
)
from workbench.errors import UserError
from workbench.numbers import Number

TESTS = ("paired_ttest", "wilcoxon_test", "bootstrap_test", "permutation_test")
_SLACK = 1e-11  # of the mean value: two resampled means that are closer than this are equal but for rounding


@dataclass(frozen=True)
class OverUsers:
    """What the users say of a difference: each counts with the mean over the replicates of a model.

    Attributes
    ----------
    error : standard error of the mean difference; NaN with a single user.
    interval, bca : its 95 % paired bootstrap interval, percentile and BCa.
    effect, effect_interval : Cohen's d_z with its 95 % interval.
    rank_biserial : matched-pairs rank-biserial correlation, where Wilcoxon's test was asked for.
    p : two-sided p-value by the name of the test.
    adjusted : the same after Holm's correction over the pairs of models on this metric.
    """

    error: Number
    interval: Interval
    bca: Interval
    effect: Number
    effect_interval: Interval
    rank_biserial: float | None
    p: dict[str, Number]
    adjusted: dict[str, Number]


@dataclass(frozen=True)
class OverSeeds:
    """What the replicates say of a difference, where at least one of the two models has several.

    Attributes
    ----------
    spreads : standard deviation over the replicates of each model, of their means over users; None with a single one.
    error : standard error of the difference that the replicates cause, sqrt(s1^2 / S1 + s2^2 / S2).
    interval : 95 % interval over users and replicates (two-level bootstrap); None for a metric without users.
    p, adjusted, welch : Welch's t over the replicate means: two-sided p-value, the same after Holm's correction, and
        95 % interval; None unless both models have several replicates.
    """

    spreads: tuple[float | None, float | None]
    error: Number
    interval: Interval | None
    p: float | None
    adjusted: float | None
    welch: Interval | None


@dataclass(frozen=True)
class Comparison:
    """Two models on one metric.

    Attributes
    ----------
    replicates : number of replicates (seeds, folds) of the first and the second.
    users : number of judged users; 0 for a metric that has one value for a whole replicate.
    difference : mean of first - second; NaN where one of the two is undefined.
    """

    first: str
    second: str
    metric: str
    replicates: tuple[int, int]
    users: int
    difference: Number
    over_users: OverUsers | None
    over_seeds: OverSeeds | None


def compare(
    values: Mapping[str, np.ndarray],
    metrics: Sequence[str],
    tests: Sequence[str],
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> list[Comparison]:
    """Every pair of models on every metric, metric by metric.

    Parameters
    ----------
    values : model -> per-user values (S, E, M), or (E, M) for a single replicate; a column a metric, rows in the same
        order of users for all models. S may differ between models.
    tests : of `TESTS`.
    seed : of all resampling. Two calls with the same seed, users and resamples share their draws.

    Raises
    ------
    UserError : a value is NaN or infinite; the models were judged on different numbers of users; or on none.
    """
    arrays = {name: _replicated(name, array, metrics) for name, array in values.items()}
    for name, array in arrays.items():
        for place, metric in enumerate(metrics):
            require_finite(array[:, :, place], metric, name)
    _require_same_size(arrays)
    if len(arrays) < 2:
        return []
    means = {name: array.mean(axis=0) for name, array in arrays.items()}
    systems = {name: array.mean(axis=1) for name, array in arrays.items()}
    resampled = bootstrap_means(arrays, seed, resamples)
    flips = sign_flip_means(means, seed, resamples) if "permutation_test" in tests else {}
    found = []
    for first, second in combinations(arrays, 2):
        differences = paired_differences(means[first], means[second])
        drawn = paired_differences(resampled[first].users, resampled[second].users)
        flipped = flips[first] - flips[second] if flips else None
        slack = _SLACK * (np.abs(means[first]) + np.abs(means[second])).mean(axis=0)
        p = _p_values(differences, drawn, flipped, slack, tests)
        users = _over_users(differences, drawn, p, tests)
        both = percentile(paired_differences(resampled[first].both, resampled[second].both))
        for place, metric in enumerate(metrics):
            ones, others = systems[first][:, place], systems[second][:, place]
            within = Interval(*both[:, place].tolist())
            seeds = _over_seeds(ones, others, within, users[place].error, len(differences))
            replicates = (len(ones), len(others))
            mean = float(differences[:, place].mean())
            found.append(Comparison(first, second, metric, replicates, len(differences), mean, users[place], seeds))
    return _corrected(found, metrics)


def compare_systems(values: Mapping[str, np.ndarray], metrics: Sequence[str]) -> list[Comparison]:
    """Every pair of models on metrics that have one value for a whole replicate (coverage, Gini): seeds only.

    A pair of which one has an undefined value (AUC where no relevant item is a candidate) is not compared: its
    difference is NaN.

    Parameters
    ----------
    values : model -> (S, M), a row a replicate; (M,) for a single one. S may differ between models.
    """
    arrays = {name: _replicated(name, np.atleast_2d(array)[:, None], metrics)[:, 0] for name, array in values.items()}
    defined = {name: np.isfinite(array).all(axis=0) for name, array in arrays.items()}  # (M,)
    if gaps := [
        f"{metric} of {name}"
        for name, sound in defined.items()
        for metric, each in zip(metrics, sound, strict=True)
        if not each
    ]:
        logger.warning("undefined, and therefore not compared: {}", ", ".join(gaps))
    found = []
    for first, second in combinations(arrays, 2):
        for place, metric in enumerate(metrics):
            ones, others = arrays[first][:, place], arrays[second][:, place]
            seeds, mean = None, float("nan")
            if defined[first][place] and defined[second][place]:
                seeds = _over_seeds(ones, others, None, float("nan"), 0)
                mean = float(ones.mean() - others.mean())
            found.append(Comparison(first, second, metric, (len(ones), len(others)), 0, mean, None, seeds))
    return _corrected(found, metrics)


def require_finite(values: np.ndarray, metric: str, where: object) -> None:
    """Refuse NaN and infinite values of a metric."""
    bad = int(values.size - np.isfinite(values).sum())
    if bad:
        raise UserError(
            f"{bad:,} of {values.size:,} values of {metric} are not finite numbers",
            where=where,
            mend=f"leave {metric.partition('@')[0]} out of the metrics, or ask for no test",
        )


def _replicated(name: str, array: np.ndarray, metrics: Sequence[str]) -> np.ndarray:
    """(S, E, M) float64."""
    full = np.asarray(array, dtype=np.float64)
    full = full[None] if full.ndim == 2 else full
    if full.ndim != 3 or full.shape[2] != len(metrics):
        raise ValueError(f"{name}: values of shape {np.shape(array)} for {len(metrics)} metrics")
    if not full.shape[0] or not full.shape[1]:
        raise UserError("no user was judged: there is nothing to compare", where=name)
    return full


def _require_same_size(arrays: Mapping[str, np.ndarray]) -> None:
    sizes = {name: array.shape[1] for name, array in arrays.items()}
    for name, size in sizes.items():
        first = next(iter(sizes))
        if size != sizes[first]:
            raise UserError(
                f"{name} was judged on {size:,} users and {first} on {sizes[first]:,}: they cannot be paired",
                mend="judge all models on the same users",
            )


def _p_values(
    differences: np.ndarray, means: np.ndarray, flipped: np.ndarray | None, slack: np.ndarray, tests: Sequence[str]
) -> dict[str, np.ndarray]:
    """Test -> (M,), from the differences (E, M), their bootstrap means and their means under random signs (R, M)."""
    observed = differences.mean(axis=0)
    p = {}
    if "paired_ttest" in tests:
        p["paired_ttest"] = paired_ttest(differences)
    if "wilcoxon_test" in tests:
        p["wilcoxon_test"] = wilcoxon(differences)
    if "bootstrap_test" in tests:
        # the null hypothesis is the same distribution, moved to a mean of 0; a single user cannot speak against it
        moved = share_beyond(means - observed, observed, slack)
        p["bootstrap_test"] = moved if len(differences) > 1 else np.ones_like(observed)
    if flipped is not None:
        p["permutation_test"] = share_beyond(flipped, observed, slack)
    return p


def _over_users(
    differences: np.ndarray, means: np.ndarray, p: Mapping[str, np.ndarray], tests: Sequence[str]
) -> list[OverUsers]:
    """One a metric, from the differences (E, M) and their bootstrap means (R, M); not yet corrected."""
    size, metrics = differences.shape
    error = differences.std(axis=0, ddof=1) / np.sqrt(size) if size > 1 else np.full(metrics, np.nan)
    plain, corrected = percentile(means), bca(means, differences)
    effect, reach = cohens_d(differences)
    ranks = rank_biserial(differences).tolist() if "wilcoxon_test" in tests else [None] * metrics
    return [
        OverUsers(
            float(error[place]),
            Interval(*plain[:, place].tolist()),
            Interval(*corrected[:, place].tolist()),
            float(effect[place]),
            Interval(*reach[:, place].tolist()),
            ranks[place],
            {test: float(p[test][place]) for test in tests},
            {},
        )
        for place in range(metrics)
    ]


def _over_seeds(
    first: np.ndarray, second: np.ndarray, interval: Interval | None, error: float, users: int
) -> OverSeeds | None:
    """From the replicate means (S1,) and (S2,) of two models; None where neither has several.

    `interval` is the percentile interval over users and replicates, `error` the standard error over `users` users.
    """
    if len(first) == len(second) == 1:
        return None
    largest = max(np.abs(first).max(), np.abs(second).max())
    first, second = on_grid(first, largest), on_grid(second, largest)
    spreads = [float(each.std(ddof=1)) if len(each) > 1 else None for each in (first, second)]
    variances = [(spread or 0.0) ** 2 / len(each) for spread, each in zip(spreads, (first, second), strict=True)]
    if interval is not None:
        middle = float(first.mean() - second.mean())
        interval = _widened(
            interval, middle, [0.0 if users < 2 else error**2, *variances], [users - 1, len(first) - 1, len(second) - 1]
        )
    p, reach = welch(first, second) if min(len(first), len(second)) > 1 else (None, None)
    return OverSeeds((spreads[0], spreads[1]), float(np.sqrt(sum(variances))), interval, p, None, reach)


def _widened(interval: Interval, middle: float, variances: list[float], freedoms: list[int]) -> Interval:
    """Both halves stretched by the ratio of Student's to the normal quantile, at Satterthwaite's degrees of freedom.

    A percentile interval takes the spread of a handful of replicates for known; this pays for having estimated it.

    Source: Hesterberg, "What teachers should know about the bootstrap", The American Statistician, 2015 (expanded
    percentile interval).
    """
    if not sum(variances):
        return interval
    factor = float(special.stdtrit(satterthwaite(variances, freedoms), 0.975) / special.ndtri(0.975))
    return Interval(middle + (interval.low - middle) * factor, middle + (interval.high - middle) * factor)


def _corrected(comparisons: list[Comparison], metrics: Sequence[str]) -> list[Comparison]:
    """Metric by metric, with the p-values of every test corrected over the pairs that have one."""
    result = []
    for metric in metrics:
        family = [each for each in comparisons if each.metric == metric]
        tests = list(family[0].over_users.p) if family and family[0].over_users else []
        columns = {test: holm([each.over_users.p[test] for each in family if each.over_users]) for test in tests}
        across = iter(holm([each.over_seeds.p for each in family if each.over_seeds and each.over_seeds.p is not None]))
        for place, each in enumerate(family):
            users, seeds = each.over_users, each.over_seeds
            if users:
                users = replace(users, adjusted={test: columns[test][place] for test in tests})
            if seeds and seeds.p is not None:
                seeds = replace(seeds, adjusted=next(across))
            result.append(replace(each, over_users=users, over_seeds=seeds))
    return result
