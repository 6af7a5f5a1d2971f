"""Significance against scipy, full enumeration and the definitions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchmark.evaluation.significance import (
    bootstrap_interval,
    compare,
    holm,
    paired_ttest,
    permutation,
    wilcoxon,
)

GENERATOR = np.random.default_rng(5)
FIRST, SECOND = GENERATOR.random(80) + 0.1, GENERATOR.random(80)


def test_the_t_test_is_the_mean_difference_over_its_standard_error() -> None:
    differences = FIRST - SECOND
    t = differences.mean() / (differences.std(ddof=1) / np.sqrt(80))
    assert paired_ttest(FIRST, SECOND) == pytest.approx(2 * stats.t.sf(abs(t), 79))


def test_the_tests_are_two_sided_and_know_no_direction() -> None:
    assert paired_ttest(FIRST, SECOND) == pytest.approx(paired_ttest(SECOND, FIRST))
    assert wilcoxon(FIRST, SECOND) == pytest.approx(wilcoxon(SECOND, FIRST))
    there, back = permutation((FIRST - SECOND)[:, None]), permutation((SECOND - FIRST)[:, None])
    assert there == pytest.approx(back)


def test_equal_models_give_a_p_value_of_one_and_a_constant_lead_one_of_zero() -> None:
    assert paired_ttest(FIRST, FIRST) == wilcoxon(FIRST, FIRST) == 1
    assert permutation(np.zeros((9, 1))).tolist() == [1]
    assert paired_ttest(np.full(9, 2.0), np.full(9, 1.0)) == 0


def test_the_permutation_test_comes_close_to_all_sign_flips() -> None:
    first, second = FIRST[:10], SECOND[:10]
    differences = first - second
    flips = [abs(np.dot(signs, differences)) for signs in itertools.product((-1, 1), repeat=10)]
    exact = np.mean([flip >= abs(differences.sum()) - 1e-12 for flip in flips])
    assert permutation(differences[:, None], resamples=40_000) == pytest.approx(exact, abs=0.01)


def test_the_interval_holds_the_mean_and_has_the_width_of_the_normal_one() -> None:
    differences = FIRST - SECOND
    ((low,), (high,)) = bootstrap_interval(differences[:, None])
    error = differences.std() / np.sqrt(80)
    assert low < differences.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.05)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_multiplies_by_the_hypotheses_that_are_left_and_never_falls(p_values: list[float]) -> None:
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    expected, largest = [0.0] * len(p_values), 0.0
    for done, place in enumerate(order):
        largest = max(largest, p_values[place] * (len(p_values) - done))
        expected[place] = min(largest, 1.0)
    assert holm(p_values) == pytest.approx(expected)


def test_every_pair_is_compared_once_a_metric_and_corrected_within_it() -> None:
    columns = {"a": np.stack([FIRST, SECOND], axis=1), "b": np.stack([SECOND, SECOND], axis=1)}
    columns["c"] = columns["b"] + 0.001
    found = compare(columns, ["Recall", "HR"], ["paired_ttest", "wilcoxon_test", "permutation_test"])
    assert [(each.metric, each.first, each.second) for each in found] == [
        (metric, *pair) for metric in ("Recall", "HR") for pair in (("a", "b"), ("a", "c"), ("b", "c"))
    ]
    for metric in ("Recall", "HR"):
        own = [each for each in found if each.metric == metric]
        for test in ("paired_ttest", "wilcoxon_test", "permutation_test"):
            assert [each.adjusted[test] for each in own] == pytest.approx(holm([each.p[test] for each in own]))
    first = found[0]
    difference = FIRST - SECOND
    assert first.difference == pytest.approx(difference.mean())
    assert first.effect == pytest.approx(difference.mean() / difference.std(ddof=1))
    assert first.low < first.difference < first.high
    assert first.p["paired_ttest"] == pytest.approx(paired_ttest(FIRST, SECOND))
    assert first.p["wilcoxon_test"] == pytest.approx(wilcoxon(FIRST, SECOND))


def test_a_resample_is_the_mean_over_the_users_that_were_drawn() -> None:
    differences = np.stack([FIRST, SECOND], axis=1)[:6]
    drawn = np.random.default_rng(3).integers(0, 6, size=(50, 6))
    means = np.array([[differences[row, column].mean() for column in range(2)] for row in drawn])
    expected = np.quantile(means, [0.025, 0.975], axis=0)
    np.testing.assert_allclose(bootstrap_interval(differences, seed=3, resamples=50), expected)
