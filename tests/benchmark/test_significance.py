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
    assert permutation(FIRST, SECOND) == pytest.approx(permutation(SECOND, FIRST))


def test_equal_models_give_a_p_value_of_one_and_a_constant_lead_one_of_zero() -> None:
    for test in (paired_ttest, wilcoxon, permutation):
        assert test(FIRST, FIRST) == 1
    assert paired_ttest(np.full(9, 2.0), np.full(9, 1.0)) == 0


def test_the_permutation_test_comes_close_to_all_sign_flips() -> None:
    first, second = FIRST[:10], SECOND[:10]
    differences = first - second
    flips = [abs(np.dot(signs, differences)) for signs in itertools.product((-1, 1), repeat=10)]
    exact = np.mean([flip >= abs(differences.sum()) - 1e-12 for flip in flips])
    assert permutation(first, second, resamples=40_000) == pytest.approx(exact, abs=0.01)


def test_the_interval_holds_the_mean_and_has_the_width_of_the_normal_one() -> None:
    differences = FIRST - SECOND
    low, high = bootstrap_interval(differences)
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


def test_every_pair_of_models_is_compared_once_and_corrected_together() -> None:
    values = {"a": FIRST, "b": SECOND, "c": SECOND + 0.001}
    found = compare(values, "Recall@20", ["paired_ttest", "wilcoxon_test"])
    assert [(each.first, each.second) for each in found] == [("a", "b"), ("a", "c"), ("b", "c")]
    raw = [each.p["paired_ttest"] for each in found]
    assert [each.adjusted["paired_ttest"] for each in found] == pytest.approx(holm(raw))
    assert found[0].difference == pytest.approx((FIRST - SECOND).mean())
    assert found[0].effect == pytest.approx((FIRST - SECOND).mean() / (FIRST - SECOND).std(ddof=1))
    assert found[0].low < found[0].difference < found[0].high
