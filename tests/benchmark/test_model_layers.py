"""Layers that several models share."""

from __future__ import annotations

import pytest
import torch
from bench_cases import training_data

from benchmark.models.base import Features
from benchmark.models.graphs import InteractionGraph
from benchmark.models.layers import Projections, mean_of_layers, unit_rows, xavier

ITEMS_OF = [[0, 3], [1], [0, 1, 2], []]
NAMES = ("a.b", "visual", "a modality")  # no names for attributes


def modalities() -> dict[str, Features]:
    torch.manual_seed(0)
    found = {}
    for place, (name, dim) in enumerate(zip(NAMES, (3, 5, 2), strict=True)):
        present = torch.arange(4) != place
        found[name] = Features(torch.randn(4, dim) * present[:, None], present)
    return found


@pytest.mark.parametrize("n_layers", [0, 1, 2, 4])
def test_the_mean_of_layers_is_that_of_powers_of_the_adjacency(n_layers: int) -> None:
    adjacency = InteractionGraph.of(training_data(ITEMS_OF, 4)).adjacency()
    nodes = torch.randn(8, 3, requires_grad=True)
    before = nodes.detach().clone()
    dense = (adjacency @ torch.eye(8)).double()
    powers = torch.stack([torch.linalg.matrix_power(dense, power) for power in range(n_layers + 1)])
    found = mean_of_layers(adjacency, nodes, n_layers)
    torch.testing.assert_close(found.double(), powers.mean(0) @ before.double(), atol=1e-6, rtol=1e-5)
    weights = torch.randn(8, 3)
    found.backward(weights)
    assert nodes.grad is not None and torch.equal(nodes.detach(), before)
    torch.testing.assert_close(nodes.grad.double(), powers.mean(0).T @ weights.double(), atol=1e-6, rtol=1e-5)


def test_projections_are_linear_maps_and_zero_where_nothing_is_known() -> None:
    given = modalities()
    projections = Projections(given, 6)
    whole = projections()
    assert len(projections) == len(whole) == 3 and projections.names == NAMES
    for found, linear, features in zip(whole, projections.maps, given.values(), strict=True):
        for item in range(4):
            literal = linear.weight @ features.values[item] + linear.bias
            expected = literal if features.present[item] else torch.zeros(6)
            torch.testing.assert_close(found[item], expected)


def test_some_items_are_projected_like_all_of_them() -> None:
    projections, items = Projections(modalities(), 6), torch.tensor([2, 0, 2, 1])
    for some, whole in zip(projections(items), projections(), strict=True):
        torch.testing.assert_close(some, whole[items])
    assert all(each.shape == (0, 6) for each in projections(items[:0]))


def test_only_the_maps_are_weights_unless_the_features_are_trained() -> None:
    given = modalities()
    frozen, trained = Projections(given, 6, bias=False), Projections(given, 6, trainable=True)
    assert sorted(frozen.state_dict()) == [f"maps.{place}.weight" for place in range(3)]
    assert len(trained.state_dict()) == 9
    for projections in (frozen, trained):
        sum(each.square().sum() for each in projections()).backward()  # type: ignore[union-attr]
        assert all(weight.grad is not None and weight.grad.any() for weight in projections.parameters())
    with torch.no_grad():
        for weight in trained.parameters():
            weight.zero_()
    assert all(each.values.any() for each in given.values()), "trained features are copies of their own"
    assert not any(each.any() for each in trained())


@pytest.mark.parametrize("trainable", [False, True])
def test_an_item_without_features_teaches_nothing(trainable: bool) -> None:
    projections = Projections(modalities(), 6, trainable=trainable)
    projections(torch.tensor([0]))[0].sum().backward()
    assert all(weight.grad is None or not weight.grad.any() for weight in projections.parameters())


def test_projections_run_under_autocast() -> None:
    projections = Projections(modalities(), 6)
    exact = projections()
    with torch.autocast("cpu", torch.bfloat16):
        for found, expected in zip(projections(), exact, strict=True):
            torch.testing.assert_close(found.float(), expected, atol=0.05, rtol=0.05)


def test_xavier_tables_have_the_stated_spread() -> None:
    torch.manual_seed(0)
    table = xavier(400, 100)
    bound = (6 / 500) ** 0.5
    assert isinstance(table, torch.nn.Parameter) and table.shape == (400, 100)
    assert table.abs().max().item() <= bound and table.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)


def test_masks_first_read_by_an_evaluation_serve_training() -> None:
    given = modalities()
    with torch.inference_mode():
        assert all(each.known.shape == (4,) for each in given.values())
    sum(each.sum() for each in Projections(given, 2)()).backward()


def test_unit_rows_are_torchs_normalised_ones() -> None:
    rows = torch.randn(7, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    rows[2] = 0
    ours, theirs = rows.clone().requires_grad_(), rows.clone().requires_grad_()
    weights = torch.arange(28.0, dtype=torch.float64).view(7, 4)
    weights[2] = 0  # where nothing has a length, a gradient has none either
    torch.testing.assert_close(unit_rows(ours), torch.nn.functional.normalize(theirs))
    (unit_rows(ours) * weights).sum().backward()
    (torch.nn.functional.normalize(theirs) * weights).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)
    some = rows[:2].clone().requires_grad_()
    assert torch.autograd.gradcheck(unit_rows, (some,))
    with torch.autocast("cpu", torch.bfloat16):
        assert unit_rows(rows.bfloat16()).dtype == torch.float32
