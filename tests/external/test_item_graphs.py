"""What LATTICE and FREEDOM make of graphs of items and of interactions, beyond scores and losses."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from zoo_cases import DIMS, Case, drawn, fresh, scores, tiny, train

from benchmark.models.registry import find_model
from benchmark.models.samplers import DistinctUserTriples, EdgeTriples
from workbench.errors import UserError

CASE = drawn(40, 30, 500, DIMS)


def make(name: str, case: Case = CASE, **params: Any) -> Any:
    return fresh(find_model(name), case, {"seed": 1, "factors": 4, **params}).train()


def start(model: Any, seed: int = 0) -> Any:
    model.on_epoch_start(1, torch.Generator().manual_seed(seed))
    return model


def edges(graph: Any) -> set[tuple[int, int]]:
    return set(zip(graph.users.tolist(), graph.items.tolist(), strict=True))


# --- FREEDOM


def test_freedom_draws_a_share_of_the_edges_anew_each_epoch_and_scores_with_all() -> None:
    model = make("FREEDOM", drop=0.7)
    before, total = scores(model, CASE), CASE.interactions.sum()
    one, again, other = (edges(start(model, seed).sampled) for seed in (0, 0, 1))
    assert one == again != other
    assert len(one) == len(other) == round(0.3 * total)
    assert all(CASE.interactions[user, item] for user, item in one | other)
    assert torch.equal(scores(model, CASE), before)
    assert len(edges(start(make("FREEDOM", drop=0.0)).sampled)) == total


def test_freedom_prefers_edges_between_nodes_of_few() -> None:
    model = make("FREEDOM", drop=0.9)
    kept = Counter(edge for seed in range(300) for edge in edges(start(model, seed).sampled))
    users, items = np.nonzero(CASE.interactions)
    weights = 1 / np.sqrt(CASE.interactions.sum(1)[users] * CASE.interactions.sum(0)[items])
    counts = np.array([kept[edge] for edge in zip(users.tolist(), items.tolist(), strict=True)])
    order = np.argsort(weights)
    few, many = order[: len(order) // 4], order[-len(order) // 4 :]
    assert counts[many].mean() / counts[few].mean() == pytest.approx(
        weights[many].mean() / weights[few].mean(), rel=0.2
    )


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("visual", "textual"), (0.1, 0.9)),
        (("textual", "visual"), (0.9, 0.1)),
        (("visual", "audio"), (0.5, 0.5)),
        (("audio",), (1.0,)),
        (("audio", "textual", "visual"), (1 / 3, 1 / 3, 1 / 3)),
    ],
)
def test_freedom_gives_text_the_published_weight_wherever_it_stands(
    names: tuple[str, ...], expected: tuple[float, ...]
) -> None:
    implied, said = make("FREEDOM", modalities=names), make("FREEDOM", modalities=names, mw=expected)
    assert torch.equal(scores(implied, CASE), scores(said, CASE))


def test_freedom_asks_for_a_weight_a_modality() -> None:
    with pytest.raises(UserError, match=r"`mw` has 2 weights for 3 modalities \(visual, textual, audio\)"):
        make("FREEDOM", mw=(0.1, 0.9))


def test_items_without_features_have_no_part_in_freedoms_ranking_by_features() -> None:
    case = CASE.having("audio", CASE.features["audio"] * 0, np.zeros(CASE.n_items, dtype=bool))
    model = start(make("FREEDOM", case, l_w=1.0))
    model.loss(next(iter(model.sampler().batches(64, torch.Generator().manual_seed(0))))).backward()
    silent, *_ = [place for place, name in enumerate(case.features) if name == "audio"]
    moved = [float(linear.weight.grad.abs().sum() + linear.bias.grad.abs().sum()) for linear in model.projections.maps]
    assert [value == 0 for value in moved] == [place == silent for place in range(len(moved))]


# --- LATTICE


def test_the_projections_of_lattice_have_gradients_in_every_batch() -> None:
    model = start(make("LATTICE", top_k=5))
    for batch in model.sampler().batches(100, torch.Generator().manual_seed(0)):
        model.zero_grad()
        model.loss(batch).backward()
        for linear in model.projections.maps:
            assert linear.weight.grad.abs().sum() > 0 and linear.bias.grad.abs().sum() > 0


def test_the_gradients_of_lattice_are_those_of_finite_differences() -> None:
    model = start(make("LATTICE", tiny(), top_k=4, l_w=0.1, n_layers=2).double())
    batch = next(iter(model.sampler().batches(20, torch.Generator().manual_seed(0))))
    model.loss(batch).backward()
    for weight in model.parameters():
        flat, gradient = weight.data.view(-1), weight.grad.view(-1)
        for place in range(0, len(flat), 3):
            before = float(flat[place])
            flat[place] = before + 1e-6
            above = model.loss(batch).item()
            flat[place] = before - 1e-6
            below = model.loss(batch).item()
            flat[place] = before
            assert float(gradient[place]) == pytest.approx((above - below) / 2e-6, abs=1e-6)


def test_lattice_finds_neighbours_at_the_start_of_an_epoch_and_for_scores() -> None:
    model = start(make("LATTICE", top_k=5, l_w=0.0, n_layers=1))
    batch = next(iter(model.sampler().batches(100, torch.Generator().manual_seed(0))))
    found, loss = [pattern.columns.clone() for pattern in model.nearest()], model.loss(batch).item()
    with torch.no_grad():
        for linear in model.projections.maps:
            linear.weight.normal_(generator=torch.Generator().manual_seed(3))
    assert not all(torch.equal(old, new.columns) for old, new in zip(found, model.nearest(), strict=True))
    within = model.loss(batch).item()
    assert within != loss
    assert start(model).loss(batch).item() != within


def test_lattice_falls_by_its_published_schedule_unless_told_otherwise() -> None:
    params: Any = find_model("LATTICE").Params
    assert params(epochs=60, lr=1.0).learning_rate(51) == pytest.approx(0.96)
    assert params(epochs=60, lr=1.0, lr_schedule=None).learning_rate(51) == 1.0
    assert params(epochs=60, lr=1.0, lr_sched="(0.5, 25)").learning_rate(51) == pytest.approx(0.25)


def test_lattice_draws_distinct_users_where_elliot_does() -> None:
    assert isinstance(make("LATTICE", compat="elliot").sampler(), DistinctUserTriples)
    assert isinstance(make("LATTICE").sampler(), EdgeTriples)


# --- features as weights


@pytest.mark.parametrize("name", ["LATTICE", "FREEDOM", "BM3"])
def test_features_are_trained_only_where_compat_says_so(name: str) -> None:
    case = drawn(20, 15, 100, {"visual": 3})
    for compat, trained in ((None, False), ("trainable_features", True)):
        model = make(name, case, compat=compat, epochs=2, batch_size=20)
        train(model)
        raw, known = torch.from_numpy(case.features["visual"]), torch.from_numpy(case.known["visual"])
        table = model.projections.values[0].detach()
        assert torch.equal(table[~known], raw[~known])
        assert torch.equal(table, raw) != trained
        assert torch.equal(case.data.features["visual"].values, raw)
        assert ("projections.values.0" in model.state_dict()) == trained
