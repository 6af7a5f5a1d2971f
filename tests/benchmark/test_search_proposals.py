"""Which configurations are proposed, in which order: grid, rand and Optuna's estimators."""

from __future__ import annotations

import builtins
import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from search_cases import read

from benchmark.search.proposals import Proposals, count, make_proposals, search_notice
from benchmark.search.space import Configuration
from workbench.errors import UserError

Objective = Callable[[Configuration], float | None]
NUMBERS = "shift: [uniform, -3, 3]\nlr: [loguniform, -10, -1]\nfactors: [quniform, 8, 64, 8]"


def toy(configuration: Configuration) -> float | None:
    """Largest at shift 1.2 and lr 0.01; the corner of large learning rates fails."""
    if configuration["lr"] > 0.2:
        return None
    return -((configuration["shift"] - 1.2) ** 2) - 0.3 * math.log(configuration["lr"] / 0.01) ** 2


def propose(text: str, folder: Path, seed: int = 42, **meta: Any) -> Proposals:
    return make_proposals(*read(text, folder, **meta), seed)


def rounds(proposals: Proposals, objective: Objective = lambda _: 0.0) -> list[list[Configuration]]:
    """Every batch of a search, told the objective's values."""
    batches = []
    while batch := proposals.batch():
        assert proposals.batch() == batch, "the same until it is told"
        batches.append(list(batch))
        proposals.tell([objective(each) for each in batch])
    assert proposals.batch() == []
    return batches


def flat(batches: list[list[Configuration]]) -> list[Configuration]:
    return [configuration for batch in batches for configuration in batch]


# --- grid


def test_a_grid_is_one_ordered_batch(tmp_path: Path) -> None:
    text = "lr: [1e-3, 5e-3]\nfactors: 8\nl_w: [0.1, 0.2, 0.3]\nseed: [1]"
    made = [{"lr": lr, "factors": 8, "l_w": l_w, "seed": 1} for lr in (0.001, 0.005) for l_w in (0.1, 0.2, 0.3)]
    assert rounds(propose(text, tmp_path)) == [made]
    for most in (1, 4, 6, 99):
        assert rounds(propose(text, tmp_path, hyper_max_evals=most)) == [made[:most]]
        assert count(*read(text, tmp_path, hyper_max_evals=most)) == min(most, 6)


def test_values_that_mean_the_same_are_one_configuration(tmp_path: Path) -> None:
    text = "factors: [8, '8', 8.0, 16]\nmodalities: [visual, \"('visual',)\"]"
    assert [each["factors"] for each in propose(text, tmp_path).batch()] == [8, 16]
    assert count(*read(text, tmp_path)) == 2
    assert len(propose(text, tmp_path, hyper_opt_alg="rand").batch()) == 2


def test_a_model_without_lists_has_one_configuration_and_needs_no_optuna(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide_optuna(monkeypatch)
    for name in ("grid", "rand", "tpe"):
        assert rounds(propose("lr: 0.5", tmp_path, hyper_opt_alg=name, hyper_max_evals=1)) == [[{"lr": 0.5}]]


def test_a_distribution_in_a_grid_is_refused_with_the_remedy(tmp_path: Path) -> None:
    for ask in (count, lambda space, meta: make_proposals(space, meta, 1)):
        with pytest.raises(UserError, match="`lr` is drawn from a distribution") as caught:
            ask(*read("l_w: [1, 2]\nlr: [uniform, 0.1, 1]", tmp_path))
        assert str(caught.value.where).endswith(":5")
        assert "tpe" in str(caught.value.mend) and "rand" in str(caught.value.mend)


def test_a_refused_combination_of_a_grid_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="9 factors cannot be shared out to 2 heads"):
        propose("factors: [8, 9]\nheads: [1, 2]", tmp_path)


def test_a_grid_that_nobody_can_try_is_refused_unless_it_is_cut(tmp_path: Path) -> None:
    values = list(range(1, 101))
    text = f"epochs: {values}\nfactors: {values}\nseed: {values}\nbatch_size: {values}"
    for name in ("grid", "rand", "tpe"):
        with pytest.raises(UserError, match="100,000,000 combinations"):
            propose(text, tmp_path, hyper_opt_alg=name)
    assert len(propose(text, tmp_path, hyper_max_evals=3).batch()) == 3
    assert len(propose(text, tmp_path, hyper_opt_alg="rand", hyper_max_evals=50).batch()) == 50
    assert count(*read(text, tmp_path, hyper_opt_alg="rand", hyper_max_evals=50)) == 50


def test_an_unknown_algorithm_gets_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"`experiment.*hyper_opt_alg`") as caught:
        read("lr: 1\nmeta: {hyper_opt_alg: tep}", tmp_path)
    assert caught.value.mend == "did you mean 'tpe'?" and str(caught.value.where).endswith(":5")


# --- rand


def test_random_configurations_are_the_same_for_the_same_seed_and_model(tmp_path: Path) -> None:
    first, again, other = (
        propose(NUMBERS, tmp_path, seed, hyper_opt_alg="rand", hyper_max_evals=9).batch() for seed in (1, 1, 2)
    )
    assert first == again != other
    assert len(first) == 9


@pytest.mark.parametrize("text", [NUMBERS, "lr: [0.1, 0.2, 0.3]\nepochs: [1, 2, 3, 4, 5]", "seed: [randint, 10]"])
@pytest.mark.parametrize(("few", "many"), [(1, 2), (5, 9), (9, 40)])
def test_more_evaluations_extend_the_list(tmp_path: Path, text: str, few: int, many: int) -> None:
    shorter, longer = (
        propose(text, tmp_path, hyper_opt_alg="rand", hyper_max_evals=most).batch() for most in (few, many)
    )
    assert longer[: len(shorter)] == shorter


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(st.integers(1, 4), min_size=2, max_size=3), seed=st.integers(0, 2**32 - 1), most=st.integers(1, 70)
)
def test_lists_are_drawn_from_without_repetition(tmp_path: Path, sizes: list[int], seed: int, most: int) -> None:
    keys = ["epochs", "factors", "seed"]
    text = "\n".join(f"{key}: {list(range(1, size + 1))}" for key, size in zip(keys, sizes, strict=False))
    all_of_them = {tuple(each.values()) for each in propose(text, tmp_path).batch()}
    space, meta = read(text, tmp_path, hyper_opt_alg="rand", hyper_max_evals=most)
    drawn = [tuple(each.values()) for each in make_proposals(space, meta, seed).batch()]
    assert len(drawn) == len(set(drawn)) == min(most, len(all_of_them)) == count(space, meta)
    assert set(drawn) <= all_of_them


def test_the_default_number_is_all_of_the_lists(tmp_path: Path) -> None:
    text = "lr: [0.1, 0.2, 0.3]\nepochs: [1, 2, 3, 4]"
    for name in ("rand", "tpe"):
        assert len(propose(text, tmp_path, hyper_opt_alg=name).batch()) == 12


def test_a_finite_distribution_ends_when_it_is_exhausted(tmp_path: Path, log: list[str]) -> None:
    text = "factors: [quniform, 8, 400, 8]\nseed: [randint, 3]"
    for name in ("rand", "tpe"):
        space, meta = read(text, tmp_path, hyper_opt_alg=name, hyper_max_evals=999)
        made = flat(rounds(make_proposals(space, meta, 7)))
        assert {tuple(each.values()) for each in made} == set(itertools.product(range(8, 401, 8), range(3)))
        assert len(made) == 150 == count(space, meta)
    assert any("no more than 150 different configurations" in line for line in log)


def test_distributions_without_a_number_of_evaluations_are_refused(tmp_path: Path) -> None:
    for name in ("rand", "tpe", "atpe", "anneal", "mix"):
        with pytest.raises(UserError, match="`hyper_max_evals` is missing: `lr` is drawn") as caught:
            propose(f"lr: [uniform, 0.1, 1]\nmeta: {{hyper_opt_alg: {name}}}", tmp_path)
        assert str(caught.value.where).endswith(":5") and "hyper_max_evals: 20" in str(caught.value.mend)


@pytest.mark.parametrize("name", ["rand", "tpe"])
def test_what_the_model_refuses_is_drawn_again(tmp_path: Path, name: str) -> None:
    text = "lr: [normal, 0.001, 0.01]\nfactors: [quniform, 1, 64, 1]\nheads: [2, 3, 5]"
    space, meta = read(text, tmp_path, hyper_opt_alg=name, hyper_max_evals=24)
    made = flat(rounds(make_proposals(space, meta, 3)))
    assert len(made) == 24
    for each in made:
        space.params(each)
        assert each["lr"] > 0 and each["factors"] % each["heads"] == 0


@pytest.mark.parametrize("name", ["rand", "tpe"])
def test_a_space_without_a_legal_configuration_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="7 factors cannot be shared out to 2 heads"):
        propose("lr: [uniform, 0.1, 1]\nfactors: 7\nheads: 2", tmp_path, hyper_opt_alg=name, hyper_max_evals=5).batch()


def test_a_list_wants_as_many_values_as_it_gave(tmp_path: Path) -> None:
    for name in ("rand", "tpe"):
        proposals = propose(NUMBERS, tmp_path, hyper_opt_alg=name, hyper_max_evals=6)
        proposals.batch()
        with pytest.raises(ValueError, match="1 values for"):
            proposals.tell([1.0])


# --- tpe


def test_tpe_comes_in_rounds_of_four(tmp_path: Path) -> None:
    batches = rounds(propose(NUMBERS, tmp_path, hyper_opt_alg="tpe", hyper_max_evals=10), toy)
    assert [len(batch) for batch in batches] == [4, 4, 2]


@pytest.mark.parametrize("name", ["tpe", "atpe"])
def test_tpe_finds_a_planted_optimum_better_than_rand(tmp_path: Path, name: str) -> None:
    best: dict[str, list[float]] = {"rand": [], name: []}
    for algorithm, seed in itertools.product(best, range(5)):
        proposals = propose(NUMBERS, tmp_path, seed, hyper_opt_alg=algorithm, hyper_max_evals=40)
        values = [toy(each) for each in flat(rounds(proposals, toy))]
        best[algorithm].append(max(value for value in values if value is not None))
    worse = [guided < blind for guided, blind in zip(best[name], best["rand"], strict=True)]
    assert sum(worse) <= 1
    assert sum(best[name]) > 0.5 * sum(best["rand"]), "values are negative: half as far from the optimum"


@pytest.mark.parametrize("name", ["tpe", "atpe"])
def test_a_search_that_is_told_the_same_again_proposes_the_same(tmp_path: Path, name: str) -> None:
    text = NUMBERS + "\nl_w: [0.1, 0.2, 0.4]\nmodalities: [visual, textual]"
    whole = rounds(propose(text, tmp_path, hyper_opt_alg=name, hyper_max_evals=30), toy)
    for stop in (1, 3, 6):
        again = propose(text, tmp_path, hyper_opt_alg=name, hyper_max_evals=30)
        for batch in whole[:stop]:
            assert again.batch() == batch
            again.tell([toy(each) for each in batch])
        assert rounds(again, toy) == whole[stop:]


@pytest.mark.parametrize("few", [1, 6, 8, 13])
def test_more_evaluations_extend_a_guided_search(tmp_path: Path, few: int) -> None:
    shorter, longer = (
        flat(rounds(propose(NUMBERS, tmp_path, hyper_opt_alg="tpe", hyper_max_evals=most), toy)) for most in (few, 20)
    )
    assert len(shorter) == few and longer[:few] == shorter


def test_values_told_change_what_comes_next_and_the_seed_does(tmp_path: Path) -> None:
    meta = {"hyper_opt_alg": "tpe", "hyper_max_evals": 24}
    plain = flat(rounds(propose(NUMBERS, tmp_path, **meta), toy))
    upside_down = flat(rounds(propose(NUMBERS, tmp_path, **meta), lambda each: -(toy(each) or 0.0)))
    assert plain[:8] == upside_down[:8] and plain[12:] != upside_down[12:]
    assert flat(rounds(propose(NUMBERS, tmp_path, 43, **meta), toy))[0] != plain[0]


def test_no_configuration_is_proposed_twice_and_lists_are_exhausted(tmp_path: Path) -> None:
    text = "factors: [8, 16, 32, '8']\nheads: [1, 2, 4, 8]\nmodalities: [visual, textual]"
    space, meta = read(text, tmp_path, hyper_opt_alg="tpe", hyper_max_evals=31)  # 4 * 4 * 2 = 32 with the double
    made = flat(rounds(make_proposals(space, meta, 5), lambda each: float(each["factors"])))
    assert len(made) == len({space.identity(each) for each in made}) == 24 == count(space, meta)


def test_tpe_goes_where_the_values_are_large(tmp_path: Path) -> None:
    text = "factors: [quniform, 1, 1000, 1]\ninit: [uniform, normal, xavier]"
    proposals = propose(text, tmp_path, hyper_opt_alg="tpe", hyper_max_evals=60)
    made = flat(rounds(proposals, lambda each: each["factors"] + 300 * (each["init"] == "normal")))
    late = made[-20:]
    assert sum(each["init"] == "normal" for each in late) > 12
    assert sum(each["factors"] for each in late) / 20 > 750


@pytest.mark.parametrize("failed", [None, float("nan"), float("inf")])
def test_trials_may_fail(tmp_path: Path, failed: float | None) -> None:
    for objective in (lambda _: failed, lambda each: failed if each["shift"] < 0 else each["shift"]):
        made = flat(rounds(propose(NUMBERS, tmp_path, hyper_opt_alg="tpe", hyper_max_evals=40), objective))
        assert len(made) == 40
    assert sum(each["shift"] < 0 for each in made[-16:]) < 8, "where trials fail is kept away from"


@pytest.mark.parametrize("name", ["atpe", "anneal", "mix"])
def test_what_runs_in_the_place_of_another_algorithm_is_said(tmp_path: Path, name: str) -> None:
    notice = search_notice(*read(NUMBERS, tmp_path, hyper_opt_alg=name, hyper_max_evals=8))
    assert notice is not None and notice.startswith(f"`hyper_opt_alg: {name}`: TPE")


def test_a_search_that_reaches_everything_says_that_nothing_is_left_to_it(tmp_path: Path) -> None:
    notice = search_notice(*read("lr: [0.1, 0.2]", tmp_path, hyper_opt_alg="tpe", hyper_max_evals=8))
    assert notice == "all 2 configurations are tried, tpe has no choice"


@pytest.mark.parametrize(("name", "text"), [("grid", "lr: [0.1, 0.2]"), ("rand", "lr: [0.1, 0.2]"), ("tpe", "lr: 0.1")])
def test_of_other_searches_there_is_nothing_to_say(tmp_path: Path, name: str, text: str) -> None:
    assert search_notice(*read(text, tmp_path, hyper_opt_alg=name, hyper_max_evals=8)) is None


def hide_optuna(monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = builtins.__import__

    def refuse(name: str, *arguments: Any, **more: Any) -> Any:
        if name.split(".")[0] == "optuna":
            raise ImportError(name)
        return genuine(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)


def test_optuna_is_asked_for_by_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hide_optuna(monkeypatch)
    with pytest.raises(UserError, match="needs Optuna") as caught:
        propose("lr: [uniform, 0.1, 1]\nmeta: {hyper_opt_alg: tpe, hyper_max_evals: 3}", tmp_path)
    assert str(caught.value.where).endswith(":5") and "pip install 'bottega[optuna]'" in str(caught.value.mend)
    assert len(propose(NUMBERS, tmp_path, hyper_opt_alg="rand", hyper_max_evals=3).batch()) == 3
