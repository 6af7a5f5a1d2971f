"""Contrastive alignment against literal loops, and what its training owes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from alignment_cases import literal_loss, views
from pydantic import ValidationError
from torch import nn

from benchmark.models.alignment import IGUI, AlignmentParams, contrastive
from benchmark.models.alignment.contrastive import Learned, alignment_loss, train
from benchmark.models.base import Diverged, Features

QUICK = AlignmentParams(epochs=3, batch_size=16, lr=0.01)


def learn(modalities: dict[str, Features], size: int = 4, params: AlignmentParams = QUICK, seed: int = 1) -> Learned:
    parts = list(modalities.values())
    return train([each.values for each in parts], [each.known for each in parts], size, params, seed)


def same(one: Learned, other: Learned) -> bool:
    pairs = zip([*one.weights, *one.biases, one.losses], [*other.weights, *other.biases, other.losses], strict=True)
    return all(torch.equal(left, right) for left, right in pairs)


def drawn(n_modalities: int, n_items: int = 5, seed: int = 0) -> tuple[list[np.ndarray], list[np.ndarray]]:
    rng = np.random.default_rng(seed)
    vectors = [rng.standard_normal((n_items, 3)) for _ in range(n_modalities)]
    return vectors, [rng.random(n_items) < 0.6 for _ in range(n_modalities)]


@pytest.mark.parametrize("partial", [False, True])
@pytest.mark.parametrize("n_modalities", [2, 3])
@pytest.mark.parametrize("log_scale", [0.15, math.log(1 / 0.07)])
def test_loss_and_gradients_are_those_of_the_loops(n_modalities: int, partial: bool, log_scale: float) -> None:
    vectors, known = drawn(n_modalities)
    if not partial:
        known = [np.ones_like(each) for each in known]
    tensors = [torch.from_numpy(each).requires_grad_() for each in vectors]
    scale = torch.tensor(log_scale, dtype=torch.float64, requires_grad=True)
    loss = alignment_loss(tensors, scale, [torch.from_numpy(each) for each in known] if partial else None)
    loss.backward()
    assert loss.item() == pytest.approx(literal_loss(vectors, log_scale, known), abs=1e-10)
    step = 1e-5

    def slope(up: float, down: float) -> float:
        return (up - down) / (2 * step)

    up, down = (literal_loss(vectors, log_scale + sign * step, known) for sign in (1, -1))
    assert scale.grad is not None and scale.grad.item() == pytest.approx(slope(up, down), abs=1e-7)
    for modality, tensor in enumerate(tensors):
        assert tensor.grad is not None
        for place in np.ndindex(*vectors[modality].shape):
            values = []
            for sign in (1, -1):
                moved = [each.copy() for each in vectors]
                moved[modality][place] += sign * step
                values.append(literal_loss(moved, log_scale, known))
            assert tensor.grad[place].item() == pytest.approx(slope(*values), abs=1e-6)


def test_items_without_both_modalities_change_nothing_however_wild_their_vectors_are() -> None:
    vectors, _ = drawn(2)
    known = [torch.tensor([True, True, True, False, True]), torch.tensor([True, True, True, True, False])]
    losses = []
    for wild in (1.0, 1e6):
        tensors = [torch.from_numpy(each.copy()) for each in vectors]
        tensors[0][3] *= -wild
        tensors[1][4] *= -wild
        losses.append(alignment_loss(tensors, torch.tensor(1.0), known).item())
    assert losses[0] == losses[1] == pytest.approx(literal_loss([each[:3] for each in vectors], 1.0, [np.ones(3)] * 2))


def test_a_pair_that_no_item_of_the_batch_has_counts_as_nothing_and_has_finite_gradients() -> None:
    vectors = [torch.randn(4, 3, requires_grad=True) for _ in range(2)]
    known = [torch.tensor([True, True, False, False]), torch.tensor([False, False, True, True])]
    loss = alignment_loss(vectors, torch.tensor(2.0), known)
    loss.backward()
    assert loss.item() == 0
    assert all(each.grad is not None and not each.grad.any() for each in vectors)


def test_training_is_that_of_linear_layers_fed_item_by_item() -> None:
    """The settings of the reference, an incomplete last batch, and Adam's decay on all there is."""
    modalities = views(41, (5, 7))
    params = AlignmentParams(**{**IGUI, "epochs": 3, "batch_size": 16})
    found = learn(modalities, 4, params, seed=3)
    generator = torch.Generator().manual_seed(3)
    layers, scale = [nn.Linear(5, 4), nn.Linear(7, 4)], nn.Parameter(torch.tensor(0.15))
    with torch.no_grad():
        for layer in layers:
            for weight in (layer.weight, layer.bias):
                weight.uniform_(-(layer.in_features**-0.5), layer.in_features**-0.5, generator=generator)
    weights = [weight for layer in layers for weight in layer.parameters()]
    optimiser = torch.optim.Adam([*weights, scale], lr=1e-3, weight_decay=0.01)
    losses = []
    for _ in range(3):
        order, epoch = torch.randperm(41, generator=generator).tolist(), []
        for start in range(0, 41, 16):
            rows = [
                torch.stack([layer(each.values[item]) for item in order[start : start + 16]])
                for layer, each in zip(layers, modalities.values(), strict=True)
            ]
            left, right = (nn.functional.normalize(each) for each in rows)
            scores = scale.exp() * right @ left.t()
            target = torch.arange(len(scores))
            loss = 0.5 * (nn.functional.cross_entropy(scores, target) + nn.functional.cross_entropy(scores.t(), target))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            epoch.append(loss.item())
        losses.append(sum(epoch) / len(epoch))
    assert found.losses.tolist() == pytest.approx(losses, abs=1e-5)
    for layer, weight, bias in zip(layers, found.weights, found.biases, strict=True):
        torch.testing.assert_close(weight, layer.weight.detach(), atol=1e-4, rtol=0)
        torch.testing.assert_close(bias, layer.bias.detach(), atol=1e-4, rtol=0)


def test_items_with_one_modality_are_in_no_batch() -> None:
    modalities = views(40, (5, 7), missing=0.3)
    both = modalities["a"].known & modalities["b"].known
    assert 0 < both.sum() < 40
    alone = {name: Features(each.values[both], each.present[both]) for name, each in modalities.items()}
    assert same(learn(modalities), learn(alone))


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_three_modalities_learn_from_every_pair(missing: float) -> None:
    found = learn(views(60, (5, 7, 6), missing=missing), params=AlignmentParams(epochs=40, batch_size=20, lr=0.01))
    assert [each.shape for each in found.weights] == [(4, 5), (4, 7), (4, 6)]
    assert found.losses[-1] < 0.5 * found.losses[0]


def test_the_seed_alone_decides_and_global_generators_are_untouched() -> None:
    modalities = views(40, (5, 7))
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = learn(modalities, seed=-5)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    assert same(one, learn(modalities, seed=-5))
    assert not same(one, learn(modalities, seed=6))


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 4},
        {"batch_size": 8},
        {"lr": 0.02},
        {"log_scale": 1.0},
        {"weight_decay": 0.1},
        {"decay_scale": True},
    ],
)
def test_every_key_changes_what_is_learned(change: dict[str, Any]) -> None:
    modalities = views(40, (5, 7))
    assert not same(learn(modalities), learn(modalities, params=QUICK.model_copy(update=change)))


def test_the_scale_is_learned_and_stays_at_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    scales: list[float] = []

    def recorded(vectors: Any, log_scale: torch.Tensor, known: Any) -> torch.Tensor:
        scales.append(log_scale.item())
        return alignment_loss(vectors, log_scale, known)

    monkeypatch.setattr(contrastive, "alignment_loss", recorded)
    params = AlignmentParams(epochs=30, batch_size=30, lr=0.1, log_scale=0.15)
    learn(views(30, (5, 5)), 5, params)
    free = max(scales)
    assert scales[0] == pytest.approx(0.15) and free > 1
    scales.clear()
    monkeypatch.setattr(contrastive, "LARGEST_LOG_SCALE", 1.0)
    learn(views(30, (5, 5)), 5, params)
    assert max(scales) == 1.0


def test_a_learning_rate_beyond_all_bounds_is_told() -> None:
    with pytest.raises(Diverged, match="alignment"):
        learn(views(40, (5, 7)), params=AlignmentParams(epochs=3, batch_size=16, lr=1e38))


def test_training_works_where_gradients_are_off() -> None:
    modalities = views(40, (5, 7))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        found = learn(modalities)
    assert same(found, learn(modalities))
    assert not any(each.requires_grad for each in [*found.weights, *found.biases, found.losses])


# --- settings


def test_a_bare_string_is_the_method() -> None:
    assert AlignmentParams.model_validate("cca") == AlignmentParams(method="cca")
    assert AlignmentParams().method == "contrastive"
    assert AlignmentParams(**IGUI).decay_scale
    for method in ("cca", "contrastive"):
        params = AlignmentParams(method=method)
        assert AlignmentParams.model_validate(params.model_dump(mode="json")) == params


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("ccca", "method"),
        ({"method": "cca", "epochs": 3}, "`epochs` belongs to `method: contrastive`"),
        ({"batch_size": 1}, "batch_size"),
        ({"log_scale": 9.0}, "log_scale"),
        ({"lr": math.inf}, "lr"),
        ({"ridge": 1}, "ridge"),
        ({"weight_decay": 0, "decay_scale": True}, "`weight_decay`"),
    ],
)
def test_what_means_nothing_is_refused(given: Any, told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        AlignmentParams.model_validate(given)
