"""Ranks of all relevant items and what is made of them: areas under the curve, errors of predicted ratings."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from bench_cases import csr
from hypothesis import given, settings
from hypothesis import strategies as st
from test_ranking import CPU, Table, dictionary, random_case, stable_order

from benchmark.data.dataset import Csr
from benchmark.evaluation import METRICS, Evaluator, Ranking
from benchmark.evaluation import ranking as module
from benchmark.evaluation.full_ranks import ranks
from workbench.errors import UserError

AREAS = ["AUC", "GAUC", "LAUC"]
ERRORS = ["MAE", "MSE", "RMSE"]


def literal(name: str, scores: np.ndarray, train: Csr, test: Csr, k: int, threshold: float) -> float:
    """A figure of the whole system, user by user and item by item."""
    hidden, values, pooled, errors = dictionary(train), [], [], []
    for user, rows in dictionary(test).items():
        relevant = {item: rating for item, rating in rows.items() if rating >= threshold}
        if not relevant:
            continue
        errors += [scores[user, item] - rating for item, rating in relevant.items() if item < scores.shape[1]]
        order = [item for item in stable_order(scores[user].tolist()) if item not in hidden.get(user, {})]
        negatives = len(order) - len(relevant.keys() & set(order)) + 1
        terms = []
        for place, item in enumerate(order[: k if name == "LAUC" else None]):
            if item in relevant:
                terms.append((negatives - place + len(terms)) / negatives)
        pooled += terms
        values.append(sum(terms) / (min(k, len(relevant)) if name == "LAUC" else len(relevant)))
    if name == "AUC":
        return float(np.mean(pooled))
    if name in AREAS:
        return float(np.mean(values))
    power = 1 if name == "MAE" else 2
    mean = float(np.mean(np.abs(errors) ** power))
    return math.sqrt(mean) if name == "RMSE" else mean


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("threshold", [0.0, 3.0])
def test_figures_are_those_of_a_loop(seed: int, threshold: float) -> None:
    scores, train, _, test = random_case(seed)
    means = Evaluator(test, [train], 25, 28, AREAS + ERRORS, [3, 10], CPU, threshold).means(Table(scores))
    for name in AREAS + ERRORS:
        for k in (3, 10):
            expected = literal(name, scores, train, test, k, threshold)
            assert means[f"{name}@{k}"] == pytest.approx(expected, rel=1e-12), name


@pytest.mark.parametrize("bytes_", [1, 4 * 25 * 3, 10**9])
def test_the_size_of_a_block_changes_no_rank(monkeypatch: pytest.MonkeyPatch, bytes_: int) -> None:
    scores, train, validation, test = random_case(3)
    judge = Evaluator(test, [train, validation], 25, 28, ["AUC"], [5], CPU)
    whole = judge.rank(Table(scores)).full
    monkeypatch.setattr(module, "BLOCK_BYTES", bytes_)
    again = judge.rank(Table(scores)).full
    assert whole is not None and again is not None
    for name in ("ranks", "candidates"):
        assert torch.equal(getattr(whole, name), getattr(again, name))
    assert torch.equal(whole.predictions.nan_to_num(-1), again.predictions.nan_to_num(-1))


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(1, 8), st.integers(1, 6))
def test_a_rank_is_the_place_in_a_stable_sort(seed: int, n_items: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, levels, (4, n_items)).astype(np.float32)
    scores[rng.random(scores.shape) < 0.2] = -np.inf
    rows, items = np.repeat(np.arange(4), n_items + 1), np.tile(np.arange(n_items + 1), 4)
    found = ranks(torch.from_numpy(scores), torch.from_numpy(rows), torch.from_numpy(items)).view(4, -1)
    for row, values in zip(scores.tolist(), found.tolist(), strict=True):
        order = stable_order(row)
        expected = [order.index(item) + 1 if row[item] > -math.inf else 0 for item in range(n_items)]
        assert values == [*expected, 0], "the item beyond the candidates has no rank"


def test_ranks_agree_with_the_lists() -> None:
    scores, train, validation, test = random_case(9)
    result = Evaluator(test, [train, validation], 25, 28, ["AUC"], [25], CPU).rank(Table(scores))
    assert result.full is not None and result.rows is not None
    for row, item, rank in zip(
        result.rows.places.tolist(), result.rows.items.tolist(), result.full.ranks.tolist(), strict=True
    ):
        listed = result.items[row].tolist()
        assert rank == (listed.index(item) + 1 if item in listed else 0)
    assert torch.equal(result.full.candidates, (result.items >= 0).sum(1))


def test_an_oracle_has_areas_and_accuracy_of_one_and_an_exact_rater_no_error() -> None:
    rng = np.random.default_rng(0)
    held_out = {user: dict.fromkeys(rng.permutation(40)[:6].tolist(), 3.0) for user in range(20)}
    train = {user: {int(item): 1.0 for item in range(40) if item not in held_out[user]} for user in range(20)}
    train = {user: dict(list(rows.items())[:9]) for user, rows in train.items()}
    scores = np.zeros((20, 40))
    for user, rows in held_out.items():
        scores[user, list(rows)] = 3.0
    names = [*AREAS, *ERRORS, "nDCG", "nDCG_binary", "Recall", "MAP_standard", "MAP_trec", "Recall_min", "Precision"]
    means = Evaluator(csr(held_out, 20), [csr(train, 20)], 40, 40, names, [6, 8], CPU).means(Table(scores))
    for name in names:
        expected = 0 if name in ERRORS else 6 / 8 if name == "Precision" else 1
        assert means[f"{name}@8"] == pytest.approx(expected, abs=1e-12), name
    assert means["Precision@6"] == 1


def test_a_random_scorer_gets_what_chance_gives() -> None:
    """Recall: k of the candidates (hypergeometric). GAUC: half of the pairs, and the negative that is one too many."""
    n_users, n_items, k = 4000, 60, 10
    rng = np.random.default_rng(1)
    orders = np.argsort(rng.random((n_users, n_items)), axis=1)
    train = csr({user: dict.fromkeys(orders[user, :12].tolist(), 1.0) for user in range(n_users)}, n_users)
    test = csr({user: dict.fromkeys(orders[user, 12:16].tolist(), 1.0) for user in range(n_users)}, n_users)
    judge = Evaluator(test, [train], n_items, n_items, ["Recall", "Precision", "GAUC"], [k], CPU)
    measured = judge.measure(judge.rank(Table(rng.random((n_users, n_items)))))
    candidates, relevant = n_items - 12, 4
    negatives = candidates - relevant + 1
    expected = {
        "Recall": k / candidates,
        "Precision": relevant / candidates,
        "GAUC": 1 - (negatives - 1) / 2 / negatives,
    }
    for name, value in expected.items():
        values = measured.per_user[f"{name}@{k}"]
        error = float(values.std()) / math.sqrt(n_users)
        assert abs(float(values.mean()) - value) < 4 * error, name


def test_where_no_relevant_item_is_a_candidate_there_is_no_area_and_no_error() -> None:
    judge = Evaluator(csr({0: {5: 4.0}}, 1), [csr({0: {0: 1}}, 1)], 3, 6, [*AREAS, *ERRORS], [2], CPU)
    means = judge.means(Table(np.array([[1.0, 2, 3]])))
    assert means["GAUC@2"] == means["LAUC@2"] == 0
    for name in ("AUC", *ERRORS):
        assert math.isnan(means[f"{name}@2"]), name


def test_a_hidden_relevant_item_has_a_prediction_and_no_rank() -> None:
    judge = Evaluator(csr({0: {0: 4.0, 2: 2.0}}, 1), [csr({0: {0: 4.0}}, 1)], 3, 3, ["GAUC", "MAE"], [2], CPU)
    ranking = judge.rank(Table(np.array([[9.0, 1, 3]])))
    assert ranking.full is not None
    assert ranking.full.ranks.tolist() == [0, 1]
    assert ranking.full.predictions.tolist() == [9, 3]
    assert judge.measure(ranking).means == {"GAUC@2": 0.5, "MAE@2": 3.0}


@pytest.mark.parametrize("name", AREAS + ERRORS)
def test_lists_alone_do_not_give_them(name: str) -> None:
    scores, train, _, test = random_case(0)
    ranking: Ranking = Evaluator(test, [train], 25, 28, ["Recall"], [5], CPU).rank(Table(scores))
    assert ranking.full is None, "the second look is taken only when it is asked for"
    with pytest.raises(UserError, match="need the scores of all candidates"):
        METRICS[name](ranking, 5)
