"""The sampler's distribution, by enumeration."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from bench_cases import training_data
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from benchmark.models.base import TrainingData
from benchmark.models.samplers import UniformUserTriples
from workbench.errors import UserError

GRAPH = [[0, 3], [1], [0, 1, 2, 3, 4], [], [2, 3, 4], [4]]  # user 2 has everything, user 3 nothing


def drawn(data: TrainingData, epochs: int, seed: int = 0) -> list[tuple[int, int, int]]:
    generator = torch.Generator().manual_seed(seed)
    sampler = UniformUserTriples(data)
    return [
        triple
        for _ in range(epochs)
        for triple in zip(*(column.tolist() for column in sampler.epoch(generator)), strict=True)
    ]


def test_triples_follow_the_stated_distribution() -> None:
    """P(u, i, j) = 1 / |users| . 1 / |I_u| . 1 / (|I| - |I_u|), over all triples that there are."""
    users = [user for user, items in enumerate(GRAPH) if 0 < len(items) < 5]
    probability = {
        (user, positive, negative): 1 / len(users) / len(GRAPH[user]) / (5 - len(GRAPH[user]))
        for user in users
        for positive in GRAPH[user]
        for negative in range(5)
        if negative not in GRAPH[user]
    }
    assert sum(probability.values()) == pytest.approx(1)
    counts = Counter(drawn(training_data(GRAPH, 5), 3000))
    total = sum(counts.values())
    assert total == 3000 * 12
    assert set(counts) <= set(probability), "no negative is a training item, and no positive is not"
    observed = [counts[triple] for triple in probability]
    expected = [total * probability[triple] for triple in probability]
    assert chisquare(observed, expected).pvalue > 1e-3


def test_the_check_of_the_distribution_notices_a_slight_slope() -> None:
    """A power check of the test above: drawing from edges instead of users would be seen."""
    counts = Counter(user for user, _, _ in drawn(training_data(GRAPH, 5), 3000))
    by_edges = {user: len(GRAPH[user]) for user in counts}
    total, edges = sum(counts.values()), sum(by_edges.values())
    expected = [total * by_edges[user] / edges for user in counts]
    assert chisquare(list(counts.values()), expected).pvalue < 1e-12


@settings(max_examples=60)
@given(st.lists(st.sets(st.integers(0, 11)), min_size=1, max_size=6), st.integers(0, 100))
def test_every_triple_is_a_user_an_item_of_his_and_one_that_is_not(graph: list[set[int]], seed: int) -> None:
    items_of = [sorted(items) for items in graph]
    if not any(0 < len(items) < 12 for items in items_of):
        with pytest.raises(UserError if any(items_of) else (UserError, RuntimeError)):
            UniformUserTriples(training_data(items_of, 12))
        return
    for user, positive, negative in drawn(training_data(items_of, 12), 4, seed):
        assert positive in graph[user]
        assert negative not in graph[user] and 0 <= negative < 12


def test_users_with_every_item_are_never_drawn_and_alone_are_refused() -> None:
    assert {user for user, _, _ in drawn(training_data(GRAPH, 5), 50)} == {0, 1, 4, 5}
    with pytest.raises(UserError, match="every user has every item"):
        UniformUserTriples(training_data([[0, 1], [0, 1]], 2))


def test_an_epoch_has_as_many_triples_as_training_rows_in_batches_that_lose_none() -> None:
    sampler = UniformUserTriples(training_data(GRAPH, 5))
    whole = sampler.epoch(torch.Generator().manual_seed(3))
    batches = list(sampler.batches(5, torch.Generator().manual_seed(3)))
    assert len(sampler) == len(whole.users) == 12
    assert [len(batch.users) for batch in batches] == [5, 5, 2]
    for column in ("users", "positives", "negatives"):
        assert torch.equal(torch.cat([getattr(batch, column) for batch in batches]), getattr(whole, column))


def test_the_draws_follow_from_the_seed_and_go_on_from_epoch_to_epoch() -> None:
    data = training_data(GRAPH, 5)
    assert drawn(data, 3, seed=1) == drawn(data, 3, seed=1)
    assert drawn(data, 3, seed=1) != drawn(data, 3, seed=2)
    assert drawn(data, 2, seed=1)[:12] != drawn(data, 2, seed=1)[12:]
