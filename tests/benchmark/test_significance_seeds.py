"""Across seeds: the two-level bootstrap, Welch's t, and how both behave when the seeds matter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nst
from scipy import stats

from benchmark.evaluation.significance import (
    TESTS,
    Comparison,
    OverSeeds,
    OverUsers,
    compare,
    compare_systems,
    holm,
)
from benchmark.evaluation.significance.resampling import bootstrap_means

GENERATOR = np.random.default_rng(6)


def seeds_of(comparison: Comparison) -> OverSeeds:
    assert comparison.over_seeds is not None
    return comparison.over_seeds


def users_of(comparison: Comparison) -> OverUsers:
    assert comparison.over_users is not None
    return comparison.over_users


def runs(seeds: int, spread: float, experiments: int, users: int = 150, seed: int = 0) -> dict[str, np.ndarray]:
    """Two equally good models, (S, E, M): each seed shifts a model by `spread`; a column is an experiment."""
    generator = np.random.default_rng(seed)
    taste = generator.normal(0, 0.3, size=(1, users, experiments))
    return {
        name: taste
        + generator.normal(0, 0.2, size=(1, users, experiments))
        + generator.normal(0, spread, size=(seeds, 1, experiments))
        + generator.normal(0, 0.1, size=(seeds, users, experiments))
        for name in "ab"
    }


def compared(values: dict[str, np.ndarray], resamples: int = 1_000, seed: int = 0) -> list[Comparison]:
    columns = next(iter(values.values())).shape[-1]
    return compare(values, [f"{column}" for column in range(columns)], ("paired_ttest",), seed, resamples)


def test_a_two_level_resample_is_the_mean_over_drawn_replicates_and_drawn_users() -> None:
    values = {"a": GENERATOR.random((3, 5, 2)), "b": GENERATOR.random((1, 5, 2))}
    found = bootstrap_means(values, seed=4, resamples=30)
    users = np.random.default_rng(4).integers(0, 5, size=(30, 5))
    replicates = np.random.default_rng([4, ord("a")]).multinomial(2, [1 / 3] * 3, size=30)  # two of three
    expected = np.empty((30, 2))
    for resample in range(30):
        drawn = [replicate for replicate in range(3) for _ in range(replicates[resample, replicate])]
        for column in range(2):
            sample = [values["a"][replicate, user, column] for replicate in drawn for user in users[resample]]
            expected[resample, column] = sum(sample) / (2 * 5)
    np.testing.assert_allclose(found["a"].both, expected)
    np.testing.assert_allclose(found["a"].users, [values["a"].mean(axis=0)[row].mean(axis=0) for row in users])
    assert found["b"].both is found["b"].users


def test_resampled_replicates_spread_as_their_mean_does() -> None:
    """Without users' noise, the variance of the resampled means is s^2 / S, unbiased."""
    values = np.repeat(GENERATOR.normal(size=(3, 1, 1)), 4, axis=1)
    (means,) = bootstrap_means({"a": values}, resamples=40_000).values()
    assert means.both.var() == pytest.approx(values[:, 0, 0].var(ddof=1) / 3, rel=0.03)


def test_welch_is_scipys() -> None:
    values = {"a": GENERATOR.random((5, 7, 1)), "b": GENERATOR.random((3, 7, 1)) + 0.1}
    found = seeds_of(compared(values)[0])
    ones, others = (array.mean(axis=1)[:, 0] for array in values.values())
    reference = stats.ttest_ind(ones, others, equal_var=False)
    assert found.p == pytest.approx(reference.pvalue)
    assert found.welch == pytest.approx(tuple(reference.confidence_interval(0.95)))
    assert found.spreads == pytest.approx((ones.std(ddof=1), others.std(ddof=1)))
    assert found.error == pytest.approx(np.sqrt(ones.var(ddof=1) / 5 + others.var(ddof=1) / 3))


def test_a_model_without_randomness_compares_with_one_of_five_seeds() -> None:
    values = {"MostPop": GENERATOR.random((40, 1)), "b": GENERATOR.random((5, 40, 1))}
    (found,) = compared(values)
    assert found.replicates == (1, 5)
    seeds = seeds_of(found)
    assert seeds.p is seeds.adjusted is seeds.welch is None
    assert seeds.spreads[0] is None
    assert seeds.interval is not None
    assert seeds.interval.low < found.difference < seeds.interval.high


def test_welch_is_corrected_over_the_pairs_that_have_one() -> None:
    values = {"MostPop": GENERATOR.random((40, 1)), **{name: GENERATOR.random((3, 40, 1)) for name in "abc"}}
    p = [seeds_of(each).p for each in compared(values)]
    assert [value is None for value in p] == [True, True, True, False, False, False]
    expected = holm([value for value in p if value is not None])
    assert [seeds_of(each).adjusted for each in compared(values)[3:]] == pytest.approx(expected)


def test_one_replicate_each_says_nothing_of_seeds() -> None:
    assert compared({"a": GENERATOR.random((9, 1)), "b": GENERATOR.random((1, 9, 1))})[0].over_seeds is None


@settings(max_examples=15, deadline=None)
@given(nst.arrays(np.float64, (2, 9), elements=st.integers(0, 64)).map(lambda values: values / 64), st.integers(2, 4))
def test_identical_replicates_are_one(values: np.ndarray, copies: int) -> None:
    single = compare({"a": values[0][:, None], "b": values[1][:, None]}, ["HR"], TESTS, resamples=99)[0]
    many = {name: np.repeat(array[None, :, None], copies, axis=0) for name, array in zip("ab", values, strict=True)}
    found = compare(many, ["HR"], TESTS, resamples=99)[0]
    assert users_of(found).p == pytest.approx(users_of(single).p)
    assert users_of(found).interval == pytest.approx(users_of(single).interval, abs=1e-9)
    assert found.difference == pytest.approx(single.difference)
    assert seeds_of(found).spreads == (0, 0)
    assert seeds_of(found).error == 0
    assert seeds_of(found).p in (0, 1)


def test_swapping_the_models_flips_the_intervals_across_seeds() -> None:
    values = {"a": GENERATOR.random((2, 30, 1)), "b": GENERATOR.random((4, 30, 1))}
    there = seeds_of(compared(values)[0])
    back = seeds_of(compared({name: values[name] for name in "ba"})[0])
    assert there.interval and back.interval and there.welch and back.welch
    assert there.interval == pytest.approx((-back.interval.high, -back.interval.low))
    assert there.welch == pytest.approx((-back.welch.high, -back.welch.low))
    assert there.p == pytest.approx(back.p)


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("spread", [0.0, 0.02, 0.2])
def test_the_interval_over_users_and_seeds_holds_the_truth_95_times_in_100(seeds: int, spread: float) -> None:
    found = compared(runs(seeds, spread, experiments=500))
    intervals = [seeds_of(each).interval for each in found]
    assert 0.91 <= np.mean([not interval.excludes_zero for interval in intervals if interval]) <= 0.985


def test_users_alone_mistake_luck_with_seeds_for_a_better_model() -> None:
    found = compared(runs(5, 0.3, experiments=600), resamples=100)
    assert np.mean([users_of(each).p["paired_ttest"] < 0.05 for each in found]) > 0.5
    assert 0.03 <= np.mean([(seeds_of(each).p or 0) < 0.05 for each in found]) <= 0.075


def test_a_difference_beyond_the_seeds_is_found() -> None:
    values = runs(5, 0.02, experiments=200)
    values["a"] += 0.15
    intervals = [seeds_of(each).interval for each in compared(values)]
    assert np.mean([interval.excludes_zero for interval in intervals if interval]) > 0.95


# metrics with one value a replicate


def test_a_metric_without_users_is_compared_over_seeds_only() -> None:
    first, second = GENERATOR.random((5, 2)), GENERATOR.random((4, 2))
    found = compare_systems({"a": first, "b": second, "MostPop": np.array([0.1, 0.2])}, ["Gini@10", "ItemCoverage@10"])
    assert [(each.metric, each.first, each.second) for each in found[:3]] == [
        ("Gini@10", "a", "b"),
        ("Gini@10", "a", "MostPop"),
        ("Gini@10", "b", "MostPop"),
    ]
    assert all(each.over_users is None and each.users == 0 for each in found)
    reference = stats.ttest_ind(first[:, 0], second[:, 0], equal_var=False)
    seeds = seeds_of(found[0])
    assert seeds.p == pytest.approx(reference.pvalue)
    assert seeds.adjusted == seeds.p  # the only pair with seeds on both sides
    assert seeds.interval is None
    assert found[0].difference == pytest.approx(first[:, 0].mean() - second[:, 0].mean())
    assert seeds_of(found[1]).p is None


def test_single_values_have_a_difference_and_no_more() -> None:
    (found,) = compare_systems({"a": np.array([0.5]), "b": np.array([0.25])}, ["Gini@10"])
    assert found.difference == 0.25
    assert found.over_users is found.over_seeds is None


def test_pairs_with_an_undefined_system_value_are_left_out_and_told_once(log: list[str]) -> None:
    values = {"a": GENERATOR.random((2, 2)), "b": GENERATOR.random((2, 2)), "c": GENERATOR.random((2, 2))}
    values["b"][1, 0] = np.nan
    found = compare_systems(values, ["AUC@10", "Gini@10"])
    alone = compare_systems({name: values[name][:, :1] for name in "ac"}, ["AUC@10"])
    assert [np.isnan(each.difference) for each in found] == [True, False, True, False, False, False]
    assert found[0].over_seeds is found[2].over_seeds is None
    assert found[1] == alone[0], "corrected over the pairs that are left"
    assert [line for line in log if "not compared" in line] == [
        "WARNING undefined, and therefore not compared: AUC@10 of b"
    ]
