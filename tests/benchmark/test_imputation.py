"""Policies for items without features, each beside a literal version on dense matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from bench_cases import csr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from benchmark.data.dataset import Csr
from benchmark.data.modalities import POLICIES, Heat, Imputer, MultiHop, NeighbourMean, Noise, Observed, PageRank
from benchmark.data.modalities.graph import co_interactions, row_normalised

N_ITEMS = 30
SETTINGS: list[Any] = [
    NeighbourMean(top_k=4),
    MultiHop(top_k=4, hops=1),
    MultiHop(top_k=5, hops=4),
    PageRank(top_k=5, alpha=0.2),
    PageRank(top_k=5, alpha=1.0),
    Heat(top_k=5, time=0.7),
    Heat(top_k=40, time=6.0),
]


def training(seed: int, n_users: int = 25, share: float = 0.12) -> Csr:
    """Random interactions; the last two items have none."""
    chosen = np.random.default_rng(seed).random((n_users, N_ITEMS - 2)) < share
    users, items = np.nonzero(chosen)
    return Csr.build(users, items, np.ones(len(users)), n_users)


def case(seed: int, missing: float = 0.5, dim: int = 3, **changes: Any) -> Observed:
    rng = np.random.default_rng(seed)
    present = rng.random(N_ITEMS) >= missing
    present[0] = True
    values = (rng.standard_normal((N_ITEMS, dim)) * 2 + 5).astype(np.float32)
    values[~present] = 0
    given = {"values": values, "present": present, "train": training(seed), "generator": np.random.default_rng(seed)}
    return Observed(**{**given, **changes})


# --- literal versions


def literal_counts(train: Csr) -> np.ndarray:
    """R^T R without its diagonal, counted pair by pair."""
    counts = np.zeros((N_ITEMS, N_ITEMS))
    for user in range(len(train.indptr) - 1):
        items = train.items[train.indptr[user] : train.indptr[user + 1]]
        for one in items:
            for other in items:
                counts[one, other] += one != other
    return counts


def literal_top(counts: np.ndarray, top_k: int, allowed: Any = None) -> np.ndarray:
    """The largest entries of every row, the lower number first among equals."""
    kept = np.zeros_like(counts)
    for row in range(len(counts)):
        candidates = [j for j in range(len(counts)) if counts[row, j] > 0 and (allowed is None or allowed[j])]
        for j in sorted(candidates, key=lambda j: (-counts[row, j], j))[:top_k]:
            kept[row, j] = counts[row, j]
    return kept


def stochastic(graph: np.ndarray) -> np.ndarray:
    sums = graph.sum(axis=1, keepdims=True)
    return graph / np.where(sums > 0, sums, 1)


def literal(policy: Any, observed: Observed) -> np.ndarray:
    """All rows under a policy."""
    assert observed.train is not None
    values, present = observed.values.astype(np.float64), observed.present
    counts = literal_counts(observed.train)
    mean = np.mean([values[i] for i in range(N_ITEMS) if present[i]], axis=0)
    start = np.array([values[i] - mean if present[i] else np.zeros_like(mean) for i in range(N_ITEMS)])
    graph = stochastic(literal_top(counts, policy.top_k))
    if isinstance(policy, NeighbourMean):
        result = start.copy()
        kept = literal_top(counts, policy.top_k, present)
        for i in range(N_ITEMS):
            neighbours = [j for j in range(N_ITEMS) if kept[i, j]]
            if not present[i] and neighbours:
                result[i] = np.mean([values[j] for j in neighbours], axis=0) - mean
    elif isinstance(policy, MultiHop):
        result = start
        for _ in range(policy.hops):
            result = graph @ result
            result[present] = start[present]
    elif isinstance(policy, PageRank):
        result = policy.alpha * np.linalg.solve(np.eye(N_ITEMS) - (1 - policy.alpha) * graph, start)
    else:
        result = expm(-policy.time * (np.eye(N_ITEMS) - graph)) @ start
    return np.where(present[:, None], values, result + mean)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("policy", SETTINGS, ids=str)
def test_every_policy_on_the_graph_is_its_literal_version(policy: Any, seed: int) -> None:
    observed = case(seed, missing=0.3 + 0.15 * seed)
    rows, _ = policy.fill(observed)
    np.testing.assert_allclose(rows, literal(policy, observed)[~observed.present], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("policy", SETTINGS, ids=str)
def test_blocks_change_nothing(policy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    observed = case(1)
    whole, _ = policy.fill(observed)
    monkeypatch.setattr("benchmark.data.modalities.base._BLOCK_VALUES", 1)
    monkeypatch.setattr("benchmark.data.modalities.graph._BLOCK_ENTRIES", 10)
    np.testing.assert_allclose(policy.fill(observed)[0], whole, rtol=1e-6)


# --- the graph


@given(st.integers(0, 10**6), st.integers(1, 12), st.booleans(), st.sampled_from([1, 7, 50, 1 << 22]))
@settings(max_examples=60, deadline=None)
def test_the_graph_holds_the_strongest_neighbours_and_ties_go_to_the_lower_item(
    seed: int, top_k: int, choose: bool, block: int
) -> None:
    train, rng = training(seed, n_users=15), np.random.default_rng(seed)
    rows = np.flatnonzero(rng.random(N_ITEMS) < 0.5) if choose else None
    allowed = rng.random(N_ITEMS) < 0.5 if choose else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmark.data.modalities.graph._BLOCK_ENTRIES", block)
        graph = co_interactions(train, N_ITEMS, top_k, rows, allowed)
    expected = literal_top(literal_counts(train), top_k, allowed)
    np.testing.assert_array_equal(graph.toarray(), expected if rows is None else expected[rows])


def test_ratings_and_repeated_pairs_count_once() -> None:
    train = Csr(np.array([0, 3], dtype=np.int32), np.array([0, 1, 1], dtype=np.int32), np.array([5.0, 0.5, 1.0]))
    np.testing.assert_array_equal(co_interactions(train, 3, 2).toarray(), [[0, 1, 0], [1, 0, 0], [0, 0, 0]])
    assert train.items.tolist() == [0, 1, 1] and train.indptr.tolist() == [0, 3]


def test_an_empty_training_part_gives_an_empty_graph() -> None:
    train = Csr(np.array([0, 0]), np.empty(0, dtype=np.int64), np.empty(0))
    assert row_normalised(co_interactions(train, 3, 2)).nnz == 0


def test_keys_that_would_not_fit_are_sorted_in_smaller_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmark.data.modalities.graph import _blocks

    assert _blocks(np.ones(10, dtype=np.int64), 1 << 31, 1 << 29) == [(0, 3), (3, 6), (6, 9), (9, 10)]
    assert _blocks(np.ones(10, dtype=np.int64), 5, 5) == [(0, 10)]


# --- what holds for all policies


def build(name: str) -> Imputer:
    return POLICIES[name]()


@given(st.integers(0, 10**6), st.floats(0.05, 0.95), st.sampled_from(sorted(POLICIES)))
@settings(max_examples=150, deadline=None)
def test_filled_rows_are_finite_drawn_from_the_seed_and_means_of_observed_ones(
    seed: int, missing: float, name: str
) -> None:
    observed = case(seed, missing)
    before = observed.values.copy()
    rows, alone = build(name).fill(observed)
    again, _ = build(name).fill(case(seed, missing))
    np.testing.assert_array_equal(rows, again)
    np.testing.assert_array_equal(observed.values, before)
    assert rows.dtype == np.float32 and rows.shape == (int((~observed.present).sum()), 3)
    assert np.isfinite(rows).all() and 0 <= alone <= len(rows)
    if name not in ("zeros", "random"):
        seen = observed.values[observed.present]
        assert (rows >= seen.min(axis=0) - 1e-4).all() and (rows <= seen.max(axis=0) + 1e-4).all()


@pytest.mark.parametrize("policy", SETTINGS, ids=str)
def test_items_that_no_featured_item_reaches_get_the_mean_and_are_counted(policy: Any) -> None:
    """0 - 1 are linked and so are 2 - 3; 4 is alone. Only 0 has features."""
    values = np.zeros((5, 2), dtype=np.float32)
    values[0] = [3, -1]
    train = csr({0: {0: 1, 1: 1}, 1: {2: 1, 3: 1}, 2: {4: 1}}, 3)
    present = np.array([True, False, False, False, False])
    rows, alone = policy.fill(Observed(values, present, train, np.random.default_rng(0)))
    np.testing.assert_allclose(rows, np.tile([3, -1], (4, 1)))
    assert alone == (4 if policy == PageRank(top_k=5, alpha=1.0) else 3)


def test_more_hops_reach_further() -> None:
    """A chain 0 - 1 - 2 - 3; 0 and 4 have features."""
    train = csr({0: {0: 1, 1: 1}, 1: {1: 1, 2: 1}, 2: {2: 1, 3: 1}, 3: {4: 1}}, 4)
    values = np.zeros((5, 1), dtype=np.float32)
    values[[0, 4], 0] = [2, 4]
    present = np.array([True, False, False, False, True])
    observed = Observed(values, present, train, np.random.default_rng(0))
    assert [MultiHop(hops=hops).fill(observed)[1] for hops in (1, 2, 3)] == [2, 1, 0]
    far, _ = MultiHop(hops=400).fill(observed)
    np.testing.assert_allclose(far, 2, atol=1e-4)  # the harmonic solution: the only featured item of the component


def test_noise_lies_where_the_observed_rows_lie() -> None:
    rng = np.random.default_rng(0)
    values = (rng.standard_normal((6000, 2)) * [0.1, 7] + [4, -20]).astype(np.float32)
    present = np.arange(6000) < 3000
    values[~present] = 0
    rows, alone = Noise().fill(Observed(values, present, None, rng))
    np.testing.assert_allclose(rows.mean(axis=0), [4, -20], rtol=0.05)
    np.testing.assert_allclose(rows.std(axis=0), [0.1, 7], rtol=0.05)
    assert alone == 0


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_where_nothing_is_missing_nothing_is_filled(name: str) -> None:
    rows, alone = build(name).fill(case(0, missing=0))
    assert rows.shape == (0, 3) and alone == 0


@pytest.mark.parametrize("policy", SETTINGS, ids=str)
def test_a_policy_on_the_graph_needs_the_training_part(policy: Any) -> None:
    with pytest.raises(ValueError, match="needs the training interactions"):
        policy.fill(case(0, train=None))
