"""The samplers' distributions, by enumeration."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from bench_cases import training_data
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from benchmark.models.base import TrainingData
from benchmark.models.samplers import DistinctUserTriples, EdgeTriples, Pairs, UniformUserTriples, Unseen
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


# --- the other schemes

Made = Callable[[TrainingData], Any]
TRIPLES: list[Made] = [UniformUserTriples, EdgeTriples, DistinctUserTriples]
SAMPLERS: list[Made] = [*TRIPLES, Pairs]
PAIRS = [(user, item) for user, items in enumerate(GRAPH) for item in items]
LEARNT_FROM = [(user, item) for user, item in PAIRS if user != 2]  # user 2 has everything


def rows_of(batch: Any) -> list[tuple[int, ...]]:
    return list(zip(*(column.tolist() for column in batch), strict=True))


def batches_of(sampler: Any, batch_size: int, epochs: int = 1, seed: int = 0) -> list[list[tuple[int, ...]]]:
    generator = torch.Generator().manual_seed(seed)
    return [rows_of(batch) for _ in range(epochs) for batch in sampler.batches(batch_size, generator)]


def fits(counts: Counter[Any], probability: dict[Any, float]) -> bool:
    """Whether counts may come from the stated distribution."""
    assert sum(probability.values()) == pytest.approx(1)
    assert set(counts) <= set(probability), "something was drawn that should never be"
    total = sum(counts.values())
    expected = [total * each for each in probability.values()]
    return bool(chisquare([counts[key] for key in probability], expected).pvalue > 1e-3)


def test_every_edge_comes_once_an_epoch_with_a_uniform_unseen_item() -> None:
    sampler = EdgeTriples(training_data(GRAPH, 5))
    epochs = [sampler.epoch(torch.Generator().manual_seed(seed)) for seed in range(1500)]
    for epoch in epochs:
        assert sorted(zip(epoch.users.tolist(), epoch.positives.tolist(), strict=True)) == LEARNT_FROM
    counts = Counter(row for epoch in epochs for row in rows_of(epoch))
    probability = {
        (user, positive, negative): 1 / len(LEARNT_FROM) / (5 - len(GRAPH[user]))
        for user, positive in LEARNT_FROM
        for negative in range(5)
        if negative not in GRAPH[user]
    }
    assert fits(counts, probability)
    assert len(sampler) == len(LEARNT_FROM)
    where = Counter((row[:2], place) for epoch in epochs for place, row in enumerate(rows_of(epoch)))
    places = range(len(LEARNT_FROM))
    assert fits(where, {(pair, place): 1 / len(places) ** 2 for pair in LEARNT_FROM for place in places}), "shuffled"


def test_pairs_are_all_training_interactions_in_a_new_order() -> None:
    sampler = Pairs(training_data(GRAPH, 5))
    orders = [tuple(row for batch in batches_of(sampler, 5, seed=seed) for row in batch) for seed in range(3000)]
    assert len(sampler) == len(PAIRS)
    assert all(sorted(order) == PAIRS for order in orders)
    follows = Counter(order.index(PAIRS[0]) for order in orders)
    assert fits(follows, dict.fromkeys(range(len(PAIRS)), 1 / len(PAIRS)))


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_batches_of_distinct_users_are_uniform_sets_of_them(batch_size: int) -> None:
    sampler = DistinctUserTriples(training_data(GRAPH, 5))
    batches = batches_of(sampler, batch_size, epochs=600)
    assert len(batches) == 600 * -(-12 // batch_size)
    users = [0, 1, 4, 5]
    chosen = Counter(tuple(sorted(user for user, _, _ in batch)) for batch in batches)
    sets = list(itertools.combinations(users, batch_size))
    assert fits(chosen, dict.fromkeys(sets, 1 / math.comb(4, batch_size)))
    probability = {
        (user, positive, negative): 1 / 4 / len(GRAPH[user]) / (5 - len(GRAPH[user]))
        for user in users
        for positive in GRAPH[user]
        for negative in range(5)
        if negative not in GRAPH[user]
    }
    assert fits(Counter(row for batch in batches for row in batch), probability)


def test_with_fewer_users_than_a_batch_holds_every_batch_has_all_of_them() -> None:
    batches = batches_of(DistinctUserTriples(training_data(GRAPH, 5)), 5)
    assert len(batches) == 3, "ceil(12 / 5)"
    assert all(sorted(user for user, _, _ in batch) == [0, 1, 4, 5] for batch in batches)


def test_unseen_items_are_uniform_for_every_user() -> None:
    unseen = Unseen(training_data(GRAPH, 7))  # nobody has 5 and 6
    assert unseen.trained.tolist() == [0, 1, 2, 3, 4]
    assert unseen.users.tolist() == [0, 1, 4, 5]
    for user in (0, 1, 3, 4, 5):  # user 3, without items, may be asked for, too
        drawn_items = unseen.draw(torch.full((4000,), user), torch.Generator().manual_seed(user))
        others = [item for item in range(5) if item not in GRAPH[user]]
        assert fits(Counter(drawn_items.tolist()), dict.fromkeys(others, 1 / len(others)))


@pytest.mark.parametrize("make", TRIPLES)
def test_an_item_that_nobody_has_is_never_a_negative(make: Made) -> None:
    items_of = [[1, 3], [3, 8], [], [1, 8, 9]]
    sampler = make(training_data(items_of, 12))  # 0, 2, 4 to 7, 10 and 11 are new
    negatives = {row[2] for batch in batches_of(sampler, 4, epochs=60) for row in batch}
    assert negatives == {1, 3, 8, 9}


@pytest.mark.parametrize("make", TRIPLES)
@settings(max_examples=40)
@given(st.lists(st.sets(st.integers(0, 9)), min_size=1, max_size=6), st.integers(1, 9), st.integers(0, 100))
def test_all_schemes_draw_what_is_and_what_is_not(
    make: Made, graph: list[set[int]], batch_size: int, seed: int
) -> None:
    trained = set().union(*graph)
    data = training_data([sorted(items) for items in graph], 10)
    if not any(items and items != trained for items in graph):
        with pytest.raises(UserError, match="every user has every item"):
            make(data)
        return
    batches = batches_of(make(data), batch_size, epochs=2, seed=seed)
    assert all(0 < len(batch) <= batch_size for batch in batches)
    for user, positive, negative in itertools.chain.from_iterable(batches):
        assert positive in graph[user]
        assert negative in trained - graph[user]


@pytest.mark.parametrize("make", SAMPLERS)
def test_every_scheme_follows_from_the_seed(make: Made) -> None:
    data = training_data(GRAPH, 5)
    assert batches_of(make(data), 4, 3, seed=1) == batches_of(make(data), 4, 3, seed=1)
    assert batches_of(make(data), 4, 3, seed=1) != batches_of(make(data), 4, 3, seed=2)
    sampler = make(data)
    first = batches_of(sampler, 4, 3, seed=1)
    assert batches_of(sampler, 4, 3, seed=1) == first, "a sampler keeps nothing between epochs"


@pytest.mark.parametrize("make", SAMPLERS)
@pytest.mark.parametrize("batch_size", [1, 5, 11, 12, 100])
def test_every_scheme_gives_batches_of_the_size_asked_for(make: Made, batch_size: int) -> None:
    sampler = make(training_data(GRAPH, 5))
    sizes = [len(batch) for batch in batches_of(sampler, batch_size)]
    most = min(batch_size, 4) if make is DistinctUserTriples else min(batch_size, len(sampler))
    assert len(sizes) == -(-len(sampler) // batch_size)
    assert all(size == most for size in sizes[:-1]) and 0 < sizes[-1] <= most
    if make is not DistinctUserTriples:
        assert sum(sizes) == len(sampler)
