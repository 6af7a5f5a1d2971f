"""The shipped models against their formulas, in plain double precision."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from external_cases import BATCH, ITEMS_OF, N_ITEMS, dense, features, graph, make
from scipy.stats import kstest

from benchmark.models.base import TrainedRecommender, TrainingData
from benchmark.training.loop import fit
from workbench.config import legal_keys
from workbench.errors import UserError

BOTH = {"visual": 4, "textual": 3}
ALL_USERS = torch.arange(len(ITEMS_OF))


def softplus(value: float) -> float:
    return max(value, 0) + math.log1p(math.exp(-abs(value)))


def squares(*vectors: np.ndarray) -> float:
    return sum(float(value) ** 2 for vector in vectors for value in vector)


# --- BPRMF


def test_bprmf_scores_are_inner_products() -> None:
    model = make("BPRMF", graph(), factors=3)
    users, items = dense(model.user_factors), dense(model.item_factors)
    for user, row in enumerate(dense(model.score(ALL_USERS))):
        for item in range(N_ITEMS):
            assert row[item] == pytest.approx(sum(users[user][f] * items[item][f] for f in range(3)), abs=1e-5)


@pytest.mark.parametrize("l_w", [0.0, 0.3])
def test_bprmf_loss_is_bpr_plus_half_the_squared_norms_of_the_batch(l_w: float) -> None:
    model = make("BPRMF", graph(), factors=3, l_w=l_w)
    users, items = dense(model.user_factors), dense(model.item_factors)
    ranking, norms = 0.0, 0.0
    for u, i, j in zip(*(column.tolist() for column in BATCH), strict=True):
        ranking += softplus(float(users[u] @ items[j] - users[u] @ items[i]))
        norms += squares(users[u], items[i], items[j]) / 2
    assert model.loss(BATCH).item() == pytest.approx((ranking + l_w * norms) / 6, abs=1e-5)


# --- VBPR


def literal_vbpr(model: Any, raw: np.ndarray) -> tuple[np.ndarray, ...]:
    """g_u, g_i, t_u and p_i by loops over the concatenated features."""
    weight, bias = dense(model.projection.weight), dense(model.projection.bias)
    views = []
    for row in raw.astype(np.float64):
        projected = [sum(w * f for w, f in zip(weight[k], row, strict=True)) + bias[k] for k in range(len(bias))]
        length = math.sqrt(sum(value * value for value in projected))
        views.append([value / length for value in projected])
    return dense(model.user_factors), dense(model.item_factors), dense(model.user_tastes), np.array(views)


@pytest.mark.parametrize("compat", [None, "normal_theta"])
@pytest.mark.parametrize("modalities", [("visual",), ("textual",), ("visual", "textual"), ("textual", "visual"), None])
def test_vbpr_scores_and_loss_are_their_formulas(modalities: tuple[str, ...] | None, compat: str | None) -> None:
    model = make("VBPR", graph(BOTH), factors=3, l_w=0.3, modalities=modalities, compat=compat)
    loaded = features(BOTH)
    raw = np.concatenate([loaded[name] for name in modalities or ("visual", "textual")], axis=1)
    g_u, g_i, t_u, p_i = literal_vbpr(model, raw)
    scores = np.array([[g_u[u] @ g_i[i] + t_u[u] @ p_i[i] for i in range(N_ITEMS)] for u in range(len(ITEMS_OF))])
    np.testing.assert_allclose(dense(model.score(ALL_USERS)), scores, atol=1e-5)
    ranking, norms = 0.0, 0.0
    for u, i, j in zip(*(column.tolist() for column in BATCH), strict=True):
        ranking += softplus(float(scores[u][j] - scores[u][i]))
        norms += squares(g_u[u], g_i[i], g_i[j], t_u[u], p_i[i], p_i[j]) / 2
    assert model.loss(BATCH).item() == pytest.approx((ranking + 0.3 * norms) / 6, abs=1e-5)


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


def test_vbpr_without_features_is_refused() -> None:
    with pytest.raises(UserError, match="reads features, and none are loaded"):
        make("VBPR", graph())
    with pytest.raises(UserError, match="wants the modality 'audio'"):
        make("VBPR", graph(BOTH), modalities=("audio",))


def test_features_are_frozen() -> None:
    model = make("VBPR", graph(BOTH), factors=3)
    before = model.features.clone()
    trained(model)
    assert torch.equal(model.features, before)
    assert not model.features.requires_grad


# --- what holds for every trained model

TRAINED = ["BPRMF", "VBPR"]


def trained(model: Any) -> dict[str, torch.Tensor]:
    return fit(model, model.params, None, "", 1, lambda *_: None).state


@pytest.mark.parametrize("name", TRAINED)
def test_every_weight_gets_a_gradient(name: str) -> None:
    model: TrainedRecommender = make(name, graph(BOTH), factors=3)
    model.loss(BATCH).backward()
    for weight_name, weight in model.named_parameters():
        assert weight.grad is not None and weight.grad.abs().sum() > 0, weight_name


@pytest.mark.parametrize("name", TRAINED)
def test_the_gradients_are_those_of_finite_differences(name: str) -> None:
    data = graph(BOTH)
    model = make(name, data, factors=2, l_w=0.1).double()
    if name == "VBPR":
        model.features = model.features.double()
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


CHANGES: dict[str, Any] = {
    "seed": 7,
    "epochs": 4,
    "batch_size": 3,
    "lr": 0.02,
    "factors": 5,
    "l_w": 0.9,
    "modalities": ("textual",),
    "loaders": ("TextualAttribute",),
    "compat": "normal_theta",
    "optimizer": "sgd",
    "weight_decay": 0.5,
    "clip_grad_norm": 1e-6,
    "lr_schedule": {"shape": "step", "gamma": 0.1},
    "lr_sched": (0.1, 1),
    "early_stopping": {"patience": 1, "monitor": "loss", "min_delta": 100},
}
ONE_CHOICE = {"comb_mod"}  # a key of Elliot's with a single legal value
OF_THE_LOOP = {"momentum", "precision"}  # of sgd only; of matrix products only: see test_training_steps


@pytest.mark.parametrize(
    ("name", "key"),
    [
        (name, key)
        for name in TRAINED
        for key in legal_keys(make(name, graph(BOTH)).Params)
        if key not in ONE_CHOICE | OF_THE_LOOP
    ],
)
def test_every_parameter_changes_the_result(name: str, key: str) -> None:
    base = {"epochs": 3, "batch_size": 4, "lr": 0.01, "factors": 3, "l_w": 0.05, "seed": 1}

    def scores(params: dict[str, Any]) -> torch.Tensor:
        model = make(name, graph(BOTH), **params)
        model.load_state_dict(trained(model))
        return model.score(ALL_USERS)

    plain = scores(base)
    assert torch.equal(plain, scores(base)), "the same parameters give the same scores, bit for bit"
    assert not torch.allclose(plain, scores({**base, key: CHANGES[key]}), atol=1e-6)


@pytest.mark.parametrize("name", TRAINED)
def test_scores_are_finite_also_for_items_without_training_rows_and_without_features(name: str) -> None:
    """Item 5 has no features; in the variant below, items 4 and 5 have no rows either."""
    data = graph(BOTH)
    bare = TrainingData(2, N_ITEMS, torch.tensor([0, 2, 3]), torch.tensor([0, 3, 1]), data.features)
    for each in (data, bare):
        model = make(name, each, factors=3, epochs=5, lr=0.05)
        model.load_state_dict(trained(model))
        assert torch.isfinite(model.score(torch.arange(each.n_users))).all()


@pytest.mark.parametrize("name", TRAINED)
def test_training_lowers_the_loss_and_ranks_what_was_seen_above_what_was_not(name: str) -> None:
    model = make(name, graph(BOTH), factors=8, epochs=300, lr=0.05, l_w=0.0)
    result = fit(model, model.params, None, "", 1, lambda *_: None)
    assert result.losses[-1] < 0.1 < result.losses[0]
    scores = model.score(ALL_USERS)
    for user, items in enumerate(ITEMS_OF):
        unseen = [item for item in range(N_ITEMS) if item not in items]
        assert scores[user, items].min() > scores[user, unseen].max()


# --- the two without training


def test_mostpop_counts_training_rows() -> None:
    scores = make("MostPop", graph()).score(torch.tensor([2, 0]))
    counts = [sum(item in items for items in ITEMS_OF) for item in range(N_ITEMS)]
    assert scores.tolist() == [counts, counts]


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
