"""Coverage, evenness, novelty and popularity: each against its definition, and where nothing can be said."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from bench_cases import csr
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_cases import Case, system
from test_metrics import CPU, ranking
from test_ranking import Table, random_case

from benchmark.data.dataset import Csr
from benchmark.evaluation import ACCURACY, METRICS, Catalogue, Evaluator, Ranking
from benchmark.evaluation import ranking as module
from benchmark.models.base import Scorer

NAMES = [name for name, metric in METRICS.items() if name not in ACCURACY and "full" not in metric.needs]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Up to 5 judged users, 9 items; some lists short or empty, some items untrained, some relevant ones unknown."""
    n_items = draw(st.integers(1, 9))
    users = draw(st.integers(1, 5))
    item = st.integers(0, n_items - 1)
    rating = st.sampled_from([1.0, 2.0, 5.0])
    train = {user: draw(st.dictionaries(item, rating, max_size=4)) for user in range(users)}
    train[users] = {draw(item): 1.0}  # a user who is not judged
    relevant = {
        user: draw(st.dictionaries(st.integers(0, n_items + 1), rating, min_size=1, max_size=5))
        for user in range(users)
    }
    lists = {}
    for user in range(users):
        order = [item for item in draw(st.permutations(range(n_items))) if item not in train[user]]
        lists[user] = order[: draw(st.integers(0, 6))]
    return Case(lists, relevant, train, users + 1, n_items, 1.0)


def judged(case: Case, k: int = 6) -> tuple[Ranking, Catalogue]:
    rows = {user: given_ for user, given_ in case.train.items() if given_}
    catalogue = Catalogue.build(csr(rows, case.n_users), case.n_items, CPU)
    return ranking(case.lists, case.relevant, case.n_items + 2, k, case.threshold), catalogue


def figure(name: str, result: Ranking, k: int, catalogue: Catalogue) -> float:
    value = METRICS[name](result, k, catalogue)
    assert isinstance(value, torch.Tensor) is METRICS[name].per_user
    if isinstance(value, torch.Tensor):
        assert value.shape == (len(result.users),) and value.dtype == torch.float64
        return float(value.mean())
    assert isinstance(value, float)
    return value


@settings(max_examples=80)
@given(cases(), st.integers(1, 6))
def test_every_metric_is_its_definition(case: Case, k: int) -> None:
    result, catalogue = judged(case)
    for name in NAMES:
        expected = system(name, case, k)
        assert figure(name, result, k, catalogue) == pytest.approx(expected, abs=1e-12, nan_ok=True), name


@settings(max_examples=40)
@given(cases())
def test_bounds_and_growth(case: Case) -> None:
    result, catalogue = judged(case)
    values = {name: [figure(name, result, k, catalogue) for k in range(1, 7)] for name in NAMES}
    for name in ("Gini", "Gini_coefficient", "ItemCoverage_share", "EPC", "APLT", "PopRSP", "PopREO"):
        assert all(math.isnan(value) or -1e-12 <= value <= 1 + 1e-12 for value in values[name]), name
    for name in ("ItemCoverage", "ItemCoverage_share", "NumRetrieved", "ACLT"):
        assert (np.diff(values[name]) >= 0).all(), name
    for value in values["Shannon_entropy"]:
        assert math.isnan(value) or -1e-12 <= value <= math.log2(case.n_items) + 1e-9


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.randoms())
def test_other_item_numbers_change_no_figure_where_no_scores_are_equal(seed: int, random: object) -> None:
    """No popularity stands at the edge of the head twice, or the numbers decide which item is in it."""
    rng = np.random.default_rng(seed)
    _, train, _, test = random_case(seed)
    scores = rng.permutation(30 * 25).reshape(30, 25).astype(float)
    turn = list(range(25))
    random.shuffle(turn)  # type: ignore[attr-defined]
    back = np.argsort(turn)
    names = [name for name in METRICS if name not in ("APLT", "ACLT", "PopRSP", "PopREO")]

    def means(scores_: np.ndarray, train_: Csr, test_: Csr) -> dict[str, float]:
        catalogue = Catalogue.build(train_, 25, CPU)
        return Evaluator(test_, [train_], 25, 28, names, [2, 7], CPU, catalogue=catalogue).means(Table(scores_))

    def turned(part: Csr) -> Csr:
        new = np.array([*turn, 25, 26, 27])[part.items]
        return Csr.build(part.users, new, part.values, 30)

    one, other = means(scores, train, test), means(scores[:, back], turned(train), turned(test))
    assert list(one) == list(other)
    for name, value in one.items():
        assert other[name] == pytest.approx(value, rel=1e-9, nan_ok=True), name


@pytest.mark.parametrize("bytes_", [1, 4 * 25 * 7])
def test_the_size_of_a_block_changes_no_figure(monkeypatch: pytest.MonkeyPatch, bytes_: int) -> None:
    scores, train, _, test = random_case(5)
    judge = Evaluator(test, [train], 25, 28, list(METRICS), [1, 5, 30], CPU, catalogue=Catalogue.build(train, 25, CPU))
    whole = judge.means(Table(scores))
    monkeypatch.setattr(module, "BLOCK_BYTES", bytes_)
    assert judge.means(Table(scores)) == whole, "also where k is more than there are items"


def test_the_head_takes_the_item_that_crosses_and_ties_go_by_number() -> None:
    rows = {0: {0: 1.0, 1: 1.0, 2: 1.0, 3: 1.0}, 1: {0: 1.0, 3: 1.0}, 2: {0: 1.0, 3: 1.0}, 3: {0: 1.0}, 4: {0: 1.0}}
    catalogue = Catalogue.build(csr(rows, 5), 5, CPU)  # 5, 1, 1, 3 and 0 of 10 rows
    assert catalogue.popularity.tolist() == [5, 1, 1, 3, 0]
    assert catalogue.long_tail.tolist() == [False, True, True, False, True], "8 of 10 rows are 80 %"
    assert catalogue.tail(0.81).tolist() == [False, False, True, False, True], "item 1 crosses, before its equal 2"
    assert catalogue.tail(0.5).tolist() == [False, True, True, True, True]


def test_an_item_without_training_rows_is_as_surprising_as_the_rarest() -> None:
    catalogue = Catalogue.build(csr({0: {0: 1.0, 1: 1.0}, 1: {0: 1.0}}, 2), 3, CPU)
    assert catalogue.self_information.tolist() == pytest.approx(
        [-math.log2(2 / 3), -math.log2(1 / 3), -math.log2(1 / 3)]
    )
    result = ranking({0: [2]}, {0: {2: 1.0}}, 3, 1)
    assert figure("EFD", result, 1, catalogue) == pytest.approx(math.log2(3))
    assert figure("EPC", result, 1, catalogue) == 1
    assert figure("ARP", result, 1, catalogue) == 0


def test_without_any_listed_item() -> None:
    result = ranking({0: []}, {0: {1: 1.0}}, 3, 2)
    catalogue = Catalogue.build(csr({0: {0: 1.0}}, 1), 3, CPU)
    zero = ["EPC", "EFD", "ARP", "APLT", "ACLT", "NumRetrieved", "UserCoverage", "ItemCoverage", "SEntropy"]
    for name in zero:
        assert figure(name, result, 2, catalogue) == 0, name
    for name in ("Gini", "Gini_coefficient", "Shannon_entropy", "PopRSP", "PopREO"):
        assert math.isnan(figure(name, result, 2, catalogue)), name


def test_figures_stand_in_the_order_of_cutoffs_and_metrics_and_know_what_has_a_value_for_a_user() -> None:
    scores, train, _, test = random_case(5)
    names = ["Gini", "Recall", "AUC", "ARP"]
    judge = Evaluator(test, [train], 25, 28, names, [2, 4], CPU, catalogue=Catalogue.build(train, 25, CPU))
    measured = judge.measure(judge.rank(Table(scores)))
    assert list(measured.means) == [f"{name}@{k}" for k in (2, 4) for name in names]
    assert list(measured.per_user) == ["Recall@2", "ARP@2", "Recall@4", "ARP@4"]
    assert list(measured.system) == ["Gini@2", "AUC@2", "Gini@4", "AUC@4"]
    assert measured.means["ARP@4"] == float(measured.per_user["ARP@4"].mean())
    assert measured.means["Gini@2"] == measured.system["Gini@2"]


def test_a_metric_that_needs_training_statistics_asks_for_them_before_anything_is_ranked() -> None:
    _, train, _, test = random_case(5)
    with pytest.raises(ValueError, match="a catalogue is needed for Gini, ARP"):
        Evaluator(test, [train], 25, 28, ["Recall", "Gini", "ARP"], [5], CPU)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_another_device_changes_no_figure() -> None:
    scores, train, _, test = random_case(5)

    class Moved(Table):
        def scorer(self) -> Scorer:
            inner = super().scorer()
            return lambda users: inner(users.cpu()).to(users.device)

    def means(device: torch.device) -> dict[str, float]:
        catalogue = Catalogue.build(train, 25, device)
        judge = Evaluator(test, [train], 25, 28, list(METRICS), [1, 5], device, catalogue=catalogue)
        return judge.means(Moved(scores))

    assert means(torch.device("cuda")) == pytest.approx(means(CPU), rel=1e-12, nan_ok=True)
