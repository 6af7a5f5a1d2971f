"""Lists and distributions of parameters: what they spell, what is drawn from them, what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats
from search_cases import ToyParams, read

from benchmark.search.distributions import Choices, Distribution, read_distribution
from workbench.errors import UserError

UNITS = np.random.default_rng(0).random(4000)


def draws(axis: Choices | Distribution) -> np.ndarray:
    return np.array([axis.at(unit) for unit in UNITS])


def p_value(sample: np.ndarray, cdf: Callable[..., Any]) -> float:
    return float(stats.kstest(sample, cdf).pvalue)


# --- the ten distributions


def test_uniform() -> None:
    assert p_value(draws(read_distribution("uniform", [-2, 3], False)), stats.uniform(-2, 5).cdf) > 0.05


@pytest.mark.parametrize(
    "arguments", [[-10, -1], ["-10", "-1"], [math.exp(-10), math.exp(-1), "values"], [-10, -1, "logs"]]
)
def test_loguniform_is_exp_of_a_uniform_number(arguments: list[Any]) -> None:
    sample = draws(read_distribution("loguniform", arguments, False))
    assert p_value(sample, stats.loguniform(math.exp(-10), math.exp(-1)).cdf) > 0.05
    assert sample.min() >= math.exp(-10) * (1 - 1e-12) and sample.max() <= math.exp(-1) * (1 + 1e-12)


def test_normal_and_lognormal() -> None:
    assert p_value(draws(read_distribution("normal", [3, 0.5], False)), stats.norm(3, 0.5).cdf) > 0.05
    sample = draws(read_distribution("lognormal", [-5, 1], False))
    assert p_value(sample, stats.lognorm(s=1, scale=math.exp(-5)).cdf) > 0.05


@pytest.mark.parametrize(
    ("name", "arguments", "plain"),
    [
        ("quniform", [0, 1, 0.25], lambda units: units),
        ("qloguniform", [0, 5, 3], lambda units: np.exp(5 * units)),
        ("qnormal", [1, 4, 0.5], lambda units: stats.norm(1, 4).ppf(units)),
        ("qlognormal", [2, 1, 5], lambda units: np.exp(stats.norm(2, 1).ppf(units))),
    ],
)
def test_quantised_distributions_round_to_multiples(
    name: str, arguments: list[float], plain: Callable[[np.ndarray], np.ndarray]
) -> None:
    q = arguments[-1]
    expected = np.round(plain(UNITS) / q) * q
    if name == "qloguniform":
        expected = np.clip(expected, 3, 147)  # the multiples of 3 from e^0 to e^5
    np.testing.assert_allclose(draws(read_distribution(name, arguments, False)), expected, rtol=1e-12)


def test_multiples_stay_within_the_bounds_and_are_clean_decimals() -> None:
    axis = read_distribution("quniform", [5, 12, 4], True)
    assert isinstance(axis, Distribution) and axis.values == [8, 12] and set(draws(axis).tolist()) == {8, 12}
    tenths = read_distribution("quniform", [0, 1, 0.1], False)
    assert tenths.values == [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]
    assert set(draws(tenths).tolist()) <= set(tenths.values)


@pytest.mark.parametrize(("arguments", "numbers"), [([4], [0, 1, 2, 3]), ([-2, 1], [-2, -1, 0]), (["1", "3"], [1, 2])])
def test_randint_leaves_its_upper_bound_out(arguments: list[Any], numbers: list[int]) -> None:
    axis = read_distribution("randint", arguments, True)
    counts = np.unique(draws(axis), return_counts=True)
    assert counts[0].tolist() == numbers
    assert stats.chisquare(counts[1]).pvalue > 0.05
    assert axis.drawn


@pytest.mark.parametrize("arguments", [[["a", 2, None]], ["a", 2, None], ["['a', 2, None]"]])
def test_choice_takes_one_list_or_its_entries(arguments: list[Any]) -> None:
    axis = read_distribution("choice", arguments, False)
    assert axis.values == ["a", 2, None] and not axis.drawn


def test_an_integer_parameter_is_drawn_as_whole_numbers(tmp_path: Path) -> None:
    axes = read("factors: [uniform, 5, 30]\nl_w: [uniform, 5, 30]", tmp_path)[0].axes
    factors = [axes["factors"].at(unit) for unit in UNITS]
    assert set(factors) == set(range(5, 31)) and all(type(number) is int for number in factors)
    assert axes["factors"].values == list(range(5, 31)) and axes["l_w"].values is None


arguments = st.tuples(st.floats(-50, 50), st.floats(0.01, 50), st.sampled_from([None, 0.01, 0.5, 3.0]))


@settings(max_examples=60, deadline=None)
@given(given=arguments, log=st.booleans(), normal=st.booleans(), whole=st.booleans(), units=st.lists(st.floats(0, 1)))
def test_whatever_is_drawn_is_a_legal_value(
    given: tuple[float, float, float | None], log: bool, normal: bool, whole: bool, units: list[float]
) -> None:
    first, width, q = given
    if log:
        first, width = first / 10, width / 10
    name = ("q" if q else "") + ("log" if log else "") + ("normal" if normal else "uniform")
    word = ["logs"] if log and not normal else []
    numbers = [first, width if normal else first + width, *([q] if q else [])]
    try:
        axis = read_distribution(name, [*numbers, *word], whole)
    except UserError as error:
        assert "no multiple" in str(error) or (whole and q and q < 1)
        return
    previous = -math.inf
    for unit in sorted(units):
        value = axis.at(unit)
        assert math.isfinite(value) and value >= previous, "quantiles are in order"
        assert isinstance(value, int) == whole
        step = q or (1 if whole else None)
        if step:
            assert math.isclose(value / step, round(value / step), abs_tol=1e-6)
        if not normal:
            low, high = (math.exp(each) if log else each for each in numbers[:2])
            assert low - 1e-6 * abs(low) - 1e-9 <= value <= high + 1e-6 * abs(high) + 1e-9
        previous = value
    for place, value in enumerate(axis.values or ()):
        assert axis.at(axis.unit(place)) == value


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("lr: [uniform, 1]", "uniform takes 2 arguments, not 1"),
        ("lr: [quniform, 1, 2]", "quniform takes 3 arguments, not 2"),
        ("lr: [uniform, 2, 1]", "low 2 is not below high 1"),
        ("lr: [uniform, 1, 1]", "low 1 is not below high 1"),
        ("lr: [uniform, a, 1]", "low of uniform should be a number, not 'a'"),
        ("lr: [uniform, true, 2]", "low of uniform should be a number, not True"),
        ("lr: [uniform, 0, .inf]", "high of uniform should be a number"),
        ("lr: [uniform, 0, nan]", "high of uniform should be a number"),
        ("lr: [quniform, 1, 2, 0]", "q is 0"),
        ("lr: [qnormal, 1, 2, -1]", "q is -1"),
        ("factors: [quniform, 1, 9, 0.5]", "q is 0.5, and the parameter takes whole numbers"),
        ("lr: [quniform, 1, 2, 5]", "no multiple of 5 lies between the bounds"),
        ("lr: [normal, 1, 0]", "sigma is 0"),
        ("lr: [loguniform, -1, 800]", "the values are too large"),
        ("lr: [lognormal, 800, 1]", "the values are too large"),
        ("seed: [randint, 0]", "has no numbers"),
        ("seed: [randint, 3, 1]", "has no numbers"),
        ("seed: [randint, 1.5]", "whole numbers"),
        ("seed: [randint]", "randint takes 2 arguments, not 0"),
        ("lr: [choice]", "nothing to choose from"),
        ("lr: [choice, []]", "nothing to choose from"),
        ("lr: []", "`lr` is an empty list"),
        ("lr: [loguniform, 0, 1, values]", "larger than 0"),
        ("lr: [uniform, 0, 1, values]", "uniform takes 2 arguments, not 3"),
        ("l_w: [uniform, -1, 1]", "can be drawn as -1: .* greater than or equal to 0"),
        ("dropout: [uniform, 0, 2]", "can be drawn as 1"),
        ("factors: [quniform, 0, 64, 8]", "can be drawn as 0"),
        ("init: [uniform, 0, 1]", "can be drawn as 0.5: .* should be 'uniform', 'normal' or 'xavier'"),
        ("lr: [normal, -1, 0.1]", "can be drawn as -1: .* greater than 0"),
        ("lr: [0.1, x]", "valid number.* not 'x'"),
        ("lr: [0.1, -1]", "greater than 0, not -1"),
        ("cosine: [uniform, 0, 1]", "valid boolean"),
    ],
)
def test_wrong_arguments_are_refused_with_the_line(tmp_path: Path, line: str, what: str) -> None:
    with pytest.raises(UserError, match=what) as caught:
        read(f"batch_size: 8\n{line}", tmp_path)
    assert caught.value.where == f"{tmp_path / 'x.yml'}:5"
    assert f"`{line.split(':')[0]}`" in caught.value.what or f".{line.split(':')[0]}`" in caught.value.what
    assert caught.value.mend


def test_two_positive_bounds_of_a_log_uniform_number_need_a_word(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="natural logarithms") as caught:
        read("lr: [loguniform, 1e-5, 1e-2]", tmp_path)
    assert "[loguniform, 1e-05, 0.01, values]" in str(caught.value.mend)
    assert "[loguniform, -11.51, -4.605]" in str(caught.value.mend)
    with pytest.raises(UserError, match="natural logarithms") as caught:
        read("factors: [qloguniform, 2, 5, 8]", tmp_path)
    assert "[qloguniform, 2, 5, 8, logs]" in str(caught.value.mend)
    sizes = read("factors: [qloguniform, 2, 5, 8, logs]", tmp_path)[0].axes["factors"].values
    assert sizes == list(range(8, 145, 8))
    assert read("factors: [qloguniform, 8, 64, 8, values]", tmp_path)[0].axes["factors"].values == list(range(8, 65, 8))


def test_the_range_of_a_log_uniform_number_is_said(tmp_path: Path, log: list[str]) -> None:
    read("lr: [loguniform, -5, -2]", tmp_path)
    assert any("`lr` is drawn from 0.006738 to 0.1353" in line for line in log)


def test_a_bound_that_is_never_drawn_may_be_illegal(tmp_path: Path) -> None:
    space, _ = read("lr: [uniform, 0, 0.1]\ndropout: [uniform, 0, 1]", tmp_path)
    assert space.varied == space.drawn == ["lr", "dropout"]


@pytest.mark.parametrize(
    ("line", "mend"),
    [
        ("lr: [loguniformm, -5, -1]", "did you mean 'loguniform'?"),
        ("lr: [Uniform, 0, 1]", "did you mean 'uniform'?"),
        ("lr: [qunif, '0', '1', 0.1]", "did you mean 'quniform'?"),
        ("factors: [zzz, 1, 2]", "legal here: choice, lognormal"),
        ("lr: [uniform(0, 1)]", "write a distribution as a list: [uniform, 0, 1]"),
        ("lr: loguniform(-5, -1)", "write a distribution as a list: [loguniform, 0, 1]"),
    ],
)
def test_a_misspelt_distribution_gets_the_nearest_name(tmp_path: Path, line: str, mend: str) -> None:
    with pytest.raises(UserError) as caught:
        read(line, tmp_path)
    assert mend in str(caught.value.mend) and caught.value.where == f"{tmp_path / 'x.yml'}:4"


def test_an_unknown_parameter_gets_the_nearest_name_whatever_its_list(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"unknown key `.*\.factor`") as caught:
        read("lr: 0.1\nfactor: [uniform, 2, 1]", tmp_path)
    assert caught.value.mend == "did you mean 'factors'?" and str(caught.value.where).endswith(":5")


# --- lists


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("lr: 0.1", [0.1]),
        ("lr: [0.1, '0.2', 1e-5]", [0.1, "0.2", 1e-5]),
        ("lr: [0.1, 0.2, 0.1]", [0.1, 0.2]),
        ("lr: [choice, [0.1, 0.2]]", [0.1, 0.2]),
        ("init: [uniform, normal]", ["uniform", "normal"]),
        ("init: [choice, [uniform, normal]]", ["uniform", "normal"]),
        ("note: [uniform, normal]", ["uniform", "normal"]),
        ("note: [zzz, '1']", ["zzz", "1"]),
        ("note: \"('a', 'b')\"", ["('a', 'b')"]),
        ("modalities: ('visual','textual')", [("visual", "textual")]),
        ("modalities: [\"('visual','textual')\", \"('visual',)\"]", [("visual", "textual"), ("visual",)]),
        ("modalities: [visual, textual]", ["visual", "textual"]),
        ("modalities: [[visual, textual], [visual]]", [["visual", "textual"], ["visual"]]),
        ("hidden: [(32, 16, 8), (64, 32)]", [(32, 16, 8), (64, 32)]),
        ("hidden: (64, 32)", [(64, 32)]),
        ("hidden: [choice, [(32, 16), (8, 4)]]", [(32, 16), (8, 4)]),
        ("hidden: [choice, (32, 16), (8, 4)]", [(32, 16), (8, 4)]),
        ("temperature: [auto, 0.5]", ["auto", 0.5]),
        ("cosine: [true, false]", [True, False]),
        ("heads: [null, 2]", [None, 2]),
    ],
)
def test_a_list_is_a_set_of_alternatives(tmp_path: Path, line: str, values: list[Any]) -> None:
    space, _ = read(line, tmp_path)
    axis = space.axes[line.split(":")[0]]
    assert list(axis.values or ()) == values
    assert space.varied == ([line.split(":")[0]] if len(axis.values or ()) > 1 else [])
    for value in axis.values or ():
        assert isinstance(space.params({line.split(":")[0]: value}), ToyParams)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_places_and_points_go_through_all_combinations_the_last_fastest(tmp_path: Path, sizes: list[int]) -> None:
    keys = ["epochs", "factors", "heads", "seed"][: len(sizes)]
    text = "\n".join(f"{key}: {list(range(1, size + 1))}" for key, size in zip(keys, sizes, strict=True))
    space, _ = read(text, tmp_path)
    made = [tuple(space.point(space.units(place)).values()) for place in range(math.prod(sizes))]
    assert space.size == len(made) == len(set(made)) and made == sorted(made)


@pytest.mark.parametrize(
    ("text", "one"),
    [("hidden: [16, 8]", "'(16, 8)'"), ("lr_sched: [0.96, 50]", "'(0.96, 50)'"), ("early_stopping: [5, 9]", "")],
)
def test_a_list_where_one_tuple_is_meant_is_answered_with_how_to_write_it(tmp_path: Path, text: str, one: str) -> None:
    with pytest.raises(UserError) as caught:
        read(text, tmp_path)
    told = f"a list is a grid; one value is written {one}, a grid of them [{one}, ...]"
    assert (caught.value.mend == told) == bool(one)
    assert str(caught.value.where).endswith(":4")


def test_the_remedy_of_a_tuple_is_not_given_to_another_fault(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Toy\.lr_sched` is given twice") as caught:
        read("hidden: [16, 8]\nlr_schedule: cosine\nlr_sched: cosine", tmp_path)
    assert caught.value.mend == "keep it or `lr_schedule`"
