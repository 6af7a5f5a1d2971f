"""Neighbour graphs against brute force."""

from __future__ import annotations

from collections import Counter
from typing import Literal

import numpy as np
import pytest
import torch
from bench_cases import training_data
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchmark.models.base import Features, TrainingData
from benchmark.models.graphs import Neighbours, co_occurring_users, cosine_neighbours, neighbour_graph
from benchmark.models.graphs.neighbours import self_and_neighbours

ALL = torch.ones(30, dtype=torch.bool)


def drawn_features(n_items: int = 30, dim: int = 6, seed: int = 0) -> Tensor:
    return torch.randn(n_items, dim, generator=torch.Generator().manual_seed(seed))


def cosines(features: Tensor) -> np.ndarray:
    """(I, I) float64, one pair at a time; 0 where a vector is zero."""
    rows = features.double().numpy()
    lengths = [max(float(np.linalg.norm(row)), 1e-300) for row in rows]
    return np.array([[rows[i] @ rows[j] / lengths[i] / lengths[j] for j in range(len(rows))] for i in range(len(rows))])


def check(found: Neighbours, features: Tensor, known: Tensor, k: int) -> None:
    """Every item has the k largest cosines among the others, in order, whichever of equal ones they are."""
    expected, there = cosines(features), known & features.any(dim=1)
    width = min(k, len(features) - 1)
    assert found.items.shape == found.similarities.shape == (len(features), width)
    assert found.items.dtype == torch.int64 and found.similarities.dtype == torch.float32
    for item in range(len(features)):
        others = [other for other in range(len(features)) if other != item and there[other]] if there[item] else []
        best = sorted((expected[item, other] for other in others), reverse=True)[:width]
        chosen = found.items[item][: len(best)].tolist()
        assert len(set(chosen)) == len(chosen) and set(chosen) <= set(others)
        np.testing.assert_allclose(found.similarities[item][: len(best)], best, atol=2e-6)
        np.testing.assert_allclose([expected[item, other] for other in chosen], best, atol=2e-6)
        assert (found.items[item][len(best) :] == -1).all() and not found.similarities[item][len(best) :].any()


def data_of(features: Tensor, known: Tensor | None = None) -> TrainingData:
    made = training_data([[0, 1], [2]], len(features))
    known = torch.ones(len(features), dtype=torch.bool) if known is None else known
    return TrainingData(made.n_users, made.n_items, made.indptr, made.items, {"any": Features(features, known)})


# --- nearest neighbours


@pytest.mark.parametrize("k", [1, 4, 29, 30, 1000])
@pytest.mark.parametrize("rows", [1, 7, 30, 100])
def test_neighbours_are_those_of_brute_force_in_blocks_of_any_size(
    monkeypatch: pytest.MonkeyPatch, rows: int, k: int
) -> None:
    monkeypatch.setattr("benchmark.models.graphs.neighbours._BLOCK_BYTES", 4 * 30 * rows)
    features = drawn_features()
    check(cosine_neighbours(features, ALL, k), features, ALL, k)


def test_a_block_is_never_smaller_than_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.models.graphs.neighbours._BLOCK_BYTES", 1)
    features = drawn_features(9)
    check(cosine_neighbours(features, ALL[:9], 3), features, ALL[:9], 3)


def test_items_without_features_have_no_neighbours_and_are_none() -> None:
    features, known = drawn_features(12), torch.ones(12, dtype=torch.bool)
    features[3] = 0.0  # nothing to compare
    known[[0, 7, 8]] = False  # whatever their rows hold
    found = cosine_neighbours(features, known, 5)
    check(found, features, known, 5)
    assert (found.items[[0, 3, 7, 8]] == -1).all()
    assert not np.isin(found.items.numpy(), [0, 3, 7, 8]).any()


@pytest.mark.parametrize("there", [0, 1, 2])
def test_where_few_items_have_features_the_rest_of_a_row_is_empty(there: int) -> None:
    features, known = drawn_features(6), torch.arange(6) < there
    found = cosine_neighbours(features, known, 4)
    check(found, features, known, 4)
    assert int((found.items >= 0).sum()) == there * (there - 1)


def test_opposite_items_are_neighbours_like_others() -> None:
    features = torch.tensor([[1.0, 0], [-1, 0], [0, 0]])
    found = cosine_neighbours(features, ALL[:3], 2)
    assert found.items.tolist() == [[1, -1], [0, -1], [-1, -1]]
    assert found.similarities.tolist() == [[-1, 0], [-1, 0], [0, 0]]


def test_items_alike_are_each_others_neighbours_and_never_their_own() -> None:
    features = drawn_features(4, 3).repeat_interleave(3, dim=0)
    found = cosine_neighbours(features, ALL[:12], 2)
    assert [sorted(row) for row in found.items.tolist()] == [
        [3 * (item // 3) + other for other in range(3) if other != item % 3] for item in range(12)
    ]
    torch.testing.assert_close(found.similarities, torch.ones(12, 2))
    zeros = cosine_neighbours(torch.ones(5, 2), ALL[:5], 4)
    check(zeros, torch.ones(5, 2), ALL[:5], 4)


def test_one_item_alone_has_no_neighbours() -> None:
    found = cosine_neighbours(torch.ones(1, 2), ALL[:1], 3)
    assert found.items.shape == (1, 0)


@settings(max_examples=40)
@given(st.integers(2, 14), st.integers(1, 16), st.integers(1, 5), st.integers(0, 50), st.data())
def test_lengths_of_vectors_do_not_matter(n_items: int, k: int, rows: int, seed: int, data: st.DataObject) -> None:
    features = drawn_features(n_items, 3, seed)
    known = torch.tensor(data.draw(st.lists(st.booleans(), min_size=n_items, max_size=n_items)))
    scales = torch.tensor([10.0 ** (item % 7 - 3) for item in range(n_items)])[:, None]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmark.models.graphs.neighbours._BLOCK_BYTES", 4 * n_items * rows)
        check(cosine_neighbours(features * scales, known, k), features, known, k)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_cosines_are_computed_in_single_precision_under_autocast(dtype: torch.dtype) -> None:
    features = drawn_features().to(dtype)
    with torch.autocast("cpu", torch.bfloat16):
        found = cosine_neighbours(features, ALL, 3)
    check(found, features, ALL, 3)


def test_no_gradient_is_noted_and_inputs_stay_as_they_are() -> None:
    features = drawn_features().requires_grad_()
    before = features.detach().clone()
    assert not cosine_neighbours(features, ALL, 3).similarities.requires_grad
    assert torch.equal(features.detach(), before)


# --- graphs of them


@pytest.mark.parametrize("normalisation", ["symmetric", "random_walk"])
@pytest.mark.parametrize("weights", ["binary", "cosine"])
def test_a_neighbour_graph_is_the_literal_one(
    weights: Literal["binary", "cosine"], normalisation: Literal["symmetric", "random_walk"]
) -> None:
    features, known = drawn_features(12), torch.ones(12, dtype=torch.bool)
    known[[2, 9]] = False
    features[~known] = 0.0
    data = data_of(features, known)
    k, expected, similar = 4, np.zeros((12, 12)), cosines(features)
    for item in np.flatnonzero(known.numpy()):
        nearest = sorted(np.flatnonzero(known.numpy()), key=lambda other: (other != item, -similar[item, other]))[:k]
        assert nearest[0] == item
        for other in nearest:
            expected[item, other] = 1.0 if weights == "binary" or other == item else max(0.0, similar[item, other])
    sums = expected.sum(1)
    for row, column in zip(*np.nonzero(expected), strict=True):
        divisor = sums[row] if normalisation == "random_walk" else np.sqrt(sums[row] * sums[column])
        expected[row, column] /= divisor
    graph = neighbour_graph(data, data.features["any"], k, weights, normalisation)
    np.testing.assert_allclose((graph @ torch.eye(12)).numpy(), expected, atol=1e-6)
    assert not (graph @ torch.eye(12))[~known].any() and not (graph @ torch.eye(12))[:, ~known].any()


def test_one_neighbour_is_the_item_itself() -> None:
    data = data_of(drawn_features(5))
    torch.testing.assert_close(neighbour_graph(data, data.features["any"], 1, "binary") @ torch.eye(5), torch.eye(5))


def test_a_graph_is_kept_under_everything_that_made_it() -> None:
    """Caches by k alone have served graphs of other features."""
    data = data_of(drawn_features(20))
    features = data.features["any"]
    graph = neighbour_graph(data, features, 3, "binary")
    equal = Features(features.values.clone(), features.present.clone())
    assert neighbour_graph(data, features, 3, "binary") is graph
    assert neighbour_graph(data, equal, 3, "binary") is graph, "equal features have the same hash"
    shorter, absent = features.values.clone(), features.present.clone()
    shorter[4] = 0.0
    absent[4] = False
    others = [
        neighbour_graph(data, Features(drawn_features(20, seed=1), features.present), 3, "binary"),
        neighbour_graph(data, Features(shorter, absent), 3, "binary"),
        neighbour_graph(data, features, 4, "binary"),
        neighbour_graph(data, features, 3, "cosine"),
        neighbour_graph(data, features, 3, "binary", "random_walk"),
    ]
    assert len({id(each) for each in [graph, *others]}) == 6
    assert neighbour_graph(data_of(features.values), features, 3, "binary") is not graph, "data apart keep apart"


def test_a_graph_first_asked_for_by_an_evaluation_serves_training() -> None:
    data = data_of(drawn_features(10))
    with torch.inference_mode():
        neighbour_graph(data, data.features["any"], 3, "cosine") @ torch.eye(10)
    items = torch.randn(10, 2, requires_grad=True)
    (neighbour_graph(data, data.features["any"], 3, "cosine") @ items).square().sum().backward()
    assert items.grad is not None and items.grad.all()


def test_learned_similarities_of_neighbours_have_gradients() -> None:
    items = torch.tensor([[1, 2], [0, -1], [-1, -1]])
    weights = torch.tensor([[2.0, 3], [4, 99], [99, 99]], requires_grad=True)
    graph = self_and_neighbours(items, weights, torch.tensor([True, True, False]))
    dense = graph @ torch.eye(3)
    assert dense.tolist() == [[1, 2, 3], [4, 1, 0], [0, 0, 0]]
    dense.sum().backward()
    assert weights.grad is not None and weights.grad.tolist() == [[1, 1], [1, 0], [0, 0]]


# --- users


@settings(max_examples=30)
@given(st.lists(st.sets(st.integers(0, 6)), min_size=2, max_size=8).filter(any), st.integers(1, 9))
def test_co_occurring_users_are_those_of_brute_force(items_of: list[set[int]], k: int) -> None:
    found = co_occurring_users(training_data([sorted(items) for items in items_of], 7), k)
    width = found.items.shape[1]
    assert found.items.shape == found.similarities.shape == (len(items_of), width)
    widest = 1
    for user, items in enumerate(items_of):
        shared = Counter({other: len(items & theirs) for other, theirs in enumerate(items_of) if other != user})
        expected = sorted(((-count, other) for other, count in shared.items() if count))[:k]
        padding, widest = width - len(expected), max(widest, len(expected))
        assert found.items[user].tolist() == [other for _, other in expected] + [-1] * padding
        assert found.similarities[user].tolist() == [-count for count, _ in expected] + [0] * padding
    assert width == widest


def test_co_occurring_users_are_found_once_for_each_k() -> None:
    data = training_data([[0, 1], [1], [0, 1]], 2)
    assert co_occurring_users(data, 2) is co_occurring_users(data, 2)
    assert co_occurring_users(data, 1).items.shape == (3, 1)
