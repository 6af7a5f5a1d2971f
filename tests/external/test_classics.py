"""The models without training against second implementations, under fold-in, and where they refuse."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.decomposition import TruncatedSVD
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNet
from zoo_cases import Case, drawn, fresh, params_of, scores, tiny

import benchmark.models.profiles as profiles
from benchmark.models.base import Histories
from benchmark.models.registry import find_model
from workbench.errors import UserError

CASE = drawn(60, 40, 400, {"visual": 6, "textual": 5}, seed=3)
FOLD_IN = ["ItemKNN", "UserKNN", "AttributeItemKNN", "EASE", "SLIM", "RP3beta", "PureSVD", "iALS"]


def make(name: str, case: Case = CASE, **params: Any) -> Any:
    return fresh(find_model(name), case, params)


def binary(case: Case = CASE) -> csr_matrix:
    return csr_matrix(case.interactions)


def histories(items_of: list[list[int]]) -> Histories:
    indptr = torch.tensor([0, *np.cumsum([len(items) for items in items_of])])
    return Histories(indptr, torch.tensor([item for items in items_of for item in items], dtype=torch.long))


# --- second implementations


@pytest.mark.filterwarnings("ignore:Method expects CSR input")  # which implicit itself does not give
@pytest.mark.parametrize(
    ("recommender", "params"),
    [
        ("CosineRecommender", {}),
        ("TFIDFRecommender", {"weighting": "tf-idf"}),
        ("BM25Recommender", {"weighting": "bm25", "similarity": "dot"}),
    ],
)
def test_similarities_are_those_of_implicit(recommender: str, params: dict[str, str]) -> None:
    """Implicit counts empty rows, so the catalogue has none; and an item is its own neighbour there."""
    nearest_neighbours = pytest.importorskip("implicit.nearest_neighbours")
    case = drawn(50, 30, 400, {}, seed=8)
    assert case.interactions.any(axis=0).all()
    other = getattr(nearest_neighbours, recommender)(K=case.n_items, num_threads=1)
    other.fit(binary(case), show_progress=False)
    theirs = other.similarity.toarray()
    np.fill_diagonal(theirs, 0)
    ours = make("ItemKNN", case, neighbors=case.n_items, **params).weights.T.toarray()
    np.testing.assert_allclose(ours, np.where(theirs > 0, theirs, 0), atol=1e-6)


@pytest.mark.filterwarnings("ignore", category=ConvergenceWarning)
def test_slim_is_the_elastic_net() -> None:
    seen = CASE.interactions
    weights = np.zeros((CASE.n_items, CASE.n_items))
    for item in range(CASE.n_items):
        others = [other for other in range(CASE.n_items) if other != item]
        net = ElasticNet(alpha=0.01, l1_ratio=0.3, fit_intercept=False, positive=True, tol=1e-12, max_iter=10_000)
        weights[others, item] = net.fit(seen[:, others], seen[:, item]).coef_
    made = make("SLIM", alpha=0.01, l1_ratio=0.3, neighborhood=CASE.n_items)
    np.testing.assert_allclose(made.weights.toarray(), weights, atol=1e-6)
    sparse = make("SLIM", alpha=0.01, l1_ratio=0.3, neighborhood=4).weights
    assert np.diff(sparse.tocsc().indptr).max() == 4


def test_pure_svd_is_a_truncated_decomposition() -> None:
    svd = TruncatedSVD(7, algorithm="arpack", random_state=0)
    expected = svd.inverse_transform(svd.fit_transform(binary()))
    np.testing.assert_allclose(scores(make("PureSVD", factors=7), CASE), expected, atol=1e-5)


def test_ease_is_its_closed_form() -> None:
    inverse = np.linalg.inv(CASE.interactions.T @ CASE.interactions + 20 * np.eye(CASE.n_items))
    expected = np.eye(CASE.n_items) - inverse / np.diagonal(inverse)
    made = make("EASE", l2_norm=20)
    np.testing.assert_allclose(made.weights, expected, atol=1e-6)
    assert not made.weights.diagonal().any()


def test_ials_comes_to_rest_where_every_user_and_item_is_solved_for() -> None:
    params = {"factors": 4, "epochs": 300, "alpha": 3.0, "reg": 0.5}
    made = make("iALS", **params)
    users, items = made.user_factors.double().numpy(), made.item_factors.double().numpy()
    for user in range(CASE.n_users):
        weights = 1 + 3 * CASE.interactions[user]
        solved = np.linalg.solve((items.T * weights) @ items + 0.5 * np.eye(4), items.T @ (4 * CASE.interactions[user]))
        np.testing.assert_allclose(users[user], solved, atol=1e-3)


# --- blocks


@pytest.mark.parametrize("name", ["ItemKNN", "UserKNN", "EASE", "SLIM", "RP3beta"])
def test_blocks_change_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    params = {"neighborhood": 5} if name == "EASE" else {}
    whole = scores(make(name, **params), CASE)
    monkeypatch.setattr(profiles, "_BLOCK_ENTRIES", 3 * CASE.n_items)
    assert torch.allclose(scores(make(name, **params), CASE), whole, atol=1e-6)


def test_the_largest_entries_are_kept_and_of_equal_ones_the_lower_columns() -> None:
    dense = np.array([[1.0, 3, 3, 3, -5], [0, 0, 2, 0, 0], [0, 0, 0, 0, 0], [1e-30, 2, 1, 2, 2]])
    kept = profiles.largest(profiles.csr_array(dense), 2).toarray()
    assert kept.tolist() == [[0, 3, 3, 0, 0], [0, 0, 2, 0, 0], [0, 0, 0, 0, 0], [0, 2, 0, 2, 0]]


def test_an_interaction_that_is_there_twice_counts_once() -> None:
    shown = histories([[0, 2, 2], []])
    assert profiles.interactions(shown, 4).toarray().tolist() == [[1, 0, 1, 0], [0, 0, 0, 0]]


# --- users without training rows


@pytest.mark.parametrize("name", FOLD_IN)
def test_a_user_is_what_is_shown_of_them(name: str) -> None:
    """Who is shown with the rows of training is scored as in training, unless their own row helped (users, factors)."""
    made = make(name)
    shown = made.fold_in_scorer(histories([*CASE.items_of, [], [0, 1, 2]]))
    found = shown(torch.arange(CASE.n_users + 2))
    assert found.shape == (CASE.n_users + 2, CASE.n_items)
    assert torch.isfinite(found).all()
    torch.testing.assert_close(shown(torch.tensor([CASE.n_users + 1, 3])), found[[CASE.n_users + 1, 3]])
    assert not found[CASE.n_users].any()
    assert found[CASE.n_users + 1].any()
    if name not in ("UserKNN", "iALS"):
        torch.testing.assert_close(found[: CASE.n_users], scores(made, CASE), atol=1e-5, rtol=1e-5)


def test_the_neighbours_of_a_new_user_are_training_users() -> None:
    made = make("UserKNN", neighbors=3, similarity="jaccard")
    basket = {0, 1, 2, 5}
    shared = [len(basket & set(items)) / len(basket | set(items)) for items in CASE.items_of]
    nearest = sorted(range(CASE.n_users), key=lambda user: (-np.float32(shared[user]), user))[:3]
    expected = sum(shared[user] * CASE.interactions[user] for user in nearest)
    found = made.fold_in_scorer(histories([sorted(basket)]))(torch.tensor([0]))
    np.testing.assert_allclose(found[0], expected, atol=1e-6)


def test_a_new_user_of_ials_is_solved_for() -> None:
    made = make("iALS", factors=4, alpha=3.0, reg=0.5)
    items, seen = made.item_factors.double().numpy(), np.zeros(CASE.n_items)
    seen[[1, 4, 9]] = 1
    solved = np.linalg.solve((items.T * (1 + 3 * seen)) @ items + 0.5 * np.eye(4), items.T @ (4 * seen))
    found = made.fold_in_scorer(histories([[1, 4, 9]]))(torch.tensor([0]))
    np.testing.assert_allclose(found[0], items @ solved, atol=1e-5)


# --- new items


def test_content_finds_new_items_a_place() -> None:
    """An item without training rows and with the features of a trained one scores about what that one's twin would."""
    plain = tiny(("visual",))
    features, known = plain.features["visual"].copy(), plain.known["visual"].copy()
    features[7], known[7] = features[0], True
    made = make("AttributeItemKNN", plain.having("visual", features, known), neighbors=1)
    column = scores(made, plain)[:, 7]
    assert column.tolist() == pytest.approx(plain.interactions[:, 0].tolist(), abs=1e-6)


# --- refusals


def test_ials_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "implicit.cpu.als", None)
    with pytest.raises(UserError, match=r"pip install 'bottega\[als\]'"):
        make("iALS")


def test_pure_svd_wants_fewer_factors_than_users_and_items() -> None:
    with pytest.raises(UserError, match="set `factors` to at most 39"):
        make("PureSVD", factors=40)


def test_ease_refuses_what_would_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules[find_model("EASE").__module__]
    monkeypatch.setattr(module, "_free_bytes", lambda: 12 * CASE.n_items**2)
    make("EASE")
    monkeypatch.setattr(module, "_free_bytes", lambda: 12 * CASE.n_items**2 - 1)
    with pytest.raises(UserError, match="a dense matrix of 40 x 40 items"):
        make("EASE")


def test_free_memory_is_the_less_of_the_machine_s_and_the_container_s(tmp_path: Path) -> None:
    free = sys.modules[find_model("EASE").__module__]._free_bytes
    meminfo, group = tmp_path / "meminfo", tmp_path / "group"
    assert free(meminfo, group) is None
    meminfo.write_text("MemTotal: 90 kB\nMemAvailable:   50 kB\n")
    group.mkdir()
    (group / "memory.current").write_text("1000\n")
    (group / "memory.max").write_text("max\n")
    assert free(meminfo, group) == 50 * 1024
    (group / "memory.max").write_text("3000\n")
    assert free(meminfo, group) == 2000


def test_shrink_needs_a_denominator() -> None:
    with pytest.raises(ValueError, match="has none"):
        find_model("ItemKNN").Params(similarity="dot", shrink=1)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("ItemKNN", {"neighbors": 0}),
        ("UserKNN", {"shrink": -1}),
        ("EASE", {"l2_norm": 0}),
        ("EASE", {"neighborhood": 0}),
        ("SLIM", {"l1_ratio": 1.5}),
        ("SLIM", {"alpha": 0}),
        ("RP3beta", {"alpha": -0.1}),
        ("iALS", {"epochs": 0}),
        ("AttributeItemKNN", {"similarity": "jaccard"}),
    ],
)
def test_parameters_are_bounded(name: str, params: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(params))):
        find_model(name).Params(**params)


def test_classics_need_no_seed_but_ials() -> None:
    assert [name for name in FOLD_IN if "seed" not in find_model(name).without_effect] == ["iALS"]
    assert params_of(find_model("iALS"))["seed"] == 1
