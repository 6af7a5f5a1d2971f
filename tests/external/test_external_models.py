"""What is particular to single models; what holds for all of them is in test_zoo."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from external_cases import BATCH, ITEMS_OF, N_ITEMS, dense, graph, make
from scipy.stats import kstest

from benchmark.models.base import TrainingData
from benchmark.training.loop import fit

BOTH = {"visual": 4, "textual": 3}
ALL_USERS = torch.arange(len(ITEMS_OF))


# --- BPRMF and VBPR


def test_vbpr_starts_as_the_paper_intends_and_with_the_published_slip_on_demand() -> None:
    data = TrainingData(3000, N_ITEMS, torch.zeros(3001, dtype=torch.long), torch.zeros(0).long(), graph(BOTH).features)
    bound = math.sqrt(6 / (3000 + 8))
    intended = dense(make("VBPR", data, factors=8).user_tastes).ravel()
    assert np.abs(intended).max() <= bound
    assert kstest(intended, "uniform", (-bound, 2 * bound)).pvalue > 1e-3
    slipped = dense(make("VBPR", data, factors=8, compat="normal_theta").user_tastes).ravel()
    assert kstest(slipped, "norm").pvalue > 1e-3
    for compat in (None, "normal_theta"):
        assert np.abs(dense(make("VBPR", data, factors=8, compat=compat).user_factors)).max() <= bound


def test_both_tables_of_bprmf_start_xavier_uniform() -> None:
    data = TrainingData(2000, 3000, torch.zeros(2001, dtype=torch.long), torch.zeros(0).long(), {})
    model = make("BPRMF", data, factors=8)
    for table, rows in ((model.user_factors, 2000), (model.item_factors, 3000)):
        bound = math.sqrt(6 / (rows + 8))
        assert kstest(dense(table).ravel(), "uniform", (-bound, 2 * bound)).pvalue > 1e-3


@pytest.mark.parametrize("name", ["BPRMF", "VBPR"])
def test_the_gradients_are_those_of_finite_differences(name: str) -> None:
    model = make(name, graph(BOTH), factors=2, l_w=0.1).double()
    for attribute, value in list(vars(model).items()):
        if isinstance(value, torch.Tensor) and value.is_floating_point():  # features are no part of the state
            setattr(model, attribute, value.double())
    loss = model.loss(BATCH)
    loss.backward()
    for weight in model.parameters():
        flat, gradient = weight.data.view(-1), weight.grad.view(-1)
        for place in range(len(flat)):
            before = float(flat[place])
            flat[place] = before + 1e-6
            above = model.loss(BATCH).item()
            flat[place] = before - 1e-6
            below = model.loss(BATCH).item()
            flat[place] = before
            assert float(gradient[place]) == pytest.approx((above - below) / 2e-6, abs=1e-6)


@pytest.mark.parametrize("name", ["BPRMF", "VBPR"])
def test_training_lowers_the_loss_and_ranks_what_was_seen_above_what_was_not(name: str) -> None:
    model = make(name, graph(BOTH), factors=8, epochs=300, lr=0.05, l_w=0.0)
    result = fit(model, model.params, None, "", 1, lambda *_: None)
    assert result.losses[-1] < 0.1 < result.losses[0]
    scores = model.score(ALL_USERS)
    for user, items in enumerate(ITEMS_OF):
        unseen = [item for item in range(N_ITEMS) if item not in items]
        assert scores[user, items].min() > scores[user, unseen].max()


# --- Random


def random_scores(seed: int, users: torch.Tensor, n_items: int = 500) -> torch.Tensor:
    data = TrainingData(10_000, n_items, torch.zeros(10_001).long(), torch.zeros(0).long(), {})
    return make("Random", data, seed=seed).score(users)


def test_random_scores_do_not_depend_on_who_is_asked_together_or_in_which_order() -> None:
    users = torch.arange(200)
    whole = random_scores(1, users)
    turn = torch.randperm(200, generator=torch.Generator().manual_seed(0))
    assert torch.equal(random_scores(1, users[turn]), whole[turn])
    assert torch.equal(torch.cat([random_scores(1, block) for block in users.split(7)]), whole)
    assert torch.equal(random_scores(1, users, n_items=100), whole[:, :100])


def test_random_scores_are_uniform_in_every_direction() -> None:
    scores = random_scores(1, torch.arange(400)).double().numpy()
    low, width = -(2.0**23), 2.0**24
    assert kstest(scores.ravel(), "uniform", (low, width)).pvalue > 1e-3
    for values in (scores[0], scores[:, 0], scores[::20].ravel(), scores[:, ::50].ravel(), np.diagonal(scores)):
        assert kstest(values, "uniform", (low, width)).pvalue > 1e-4
    assert abs(np.corrcoef(scores[0], scores[1])[0, 1]) < 0.2
    assert abs(np.corrcoef(scores[:, 0], scores[:, 1])[0, 1]) < 0.2
    assert np.abs(np.corrcoef(scores) - np.eye(400)).max() < 0.3


@pytest.mark.parametrize("seed", [0, 2, 123, 2**40, -5])
def test_random_scores_follow_the_seed_without_being_shifted_copies(seed: int) -> None:
    users = torch.arange(50)
    assert torch.equal(random_scores(seed, users), random_scores(seed, users))
    one, other = random_scores(1, users).double().numpy(), random_scores(seed, users).double().numpy()
    assert not {tuple(row) for row in one.tolist()} & {tuple(row) for row in other.tolist()}
    assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.05


def test_random_recall_is_near_its_expectation() -> None:
    """With R relevant among n unmasked candidates, E[Recall@k] = k / n."""
    from benchmark.data.dataset import Csr
    from benchmark.evaluation import Evaluator

    rng = np.random.default_rng(0)
    n_users, n_items, seen, relevant, k = 2000, 120, 20, 4, 10
    order = np.argsort(rng.random((n_users, n_items)), axis=1)
    users = np.arange(n_users)

    def part(columns: np.ndarray) -> Csr:
        return Csr.build(np.repeat(users, columns.shape[1]), columns.ravel(), np.ones(columns.size), n_users)

    train, test = part(order[:, :seen]), part(order[:, seen : seen + relevant])
    data = TrainingData(n_users, n_items, torch.from_numpy(train.indptr), torch.from_numpy(train.items), {})
    judge = Evaluator(test, [train], n_items, n_items, ["Recall"], [k], torch.device("cpu"))
    p = k / (n_items - seen)
    # a user's hits are hypergeometric
    variance = p * (1 - p) * (n_items - seen - relevant) / (n_items - seen - 1) / relevant
    for seed in (1, 2, 3):
        recall = judge.means(make("Random", data, seed=seed))[f"Recall@{k}"]
        assert abs(recall - p) < 4 * math.sqrt(variance / n_users)
