"""What MGCN, SMORE and LGMRec build on, against dense computation."""

from __future__ import annotations

import math

import pytest
import torch

from benchmark.models import blocks
from benchmark.models.graphs.interactions import InteractionGraph, known_nodes
from benchmark.models.graphs.sparse import SparseMatrix, maximum
from benchmark.models.losses import log_sum_exp_of_products
from external.models.smore import neighbourhood_sizes
from workbench.errors import UserError


def dense(matrix: SparseMatrix) -> torch.Tensor:
    return matrix @ torch.eye(matrix.shape[1])


def test_the_maximum_of_matrices_is_taken_entry_by_entry() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.rand(7, 5, generator=generator) for _ in range(3)]
    kept = [values * (torch.rand(7, 5, generator=generator) < 0.4) for values in drawn]
    places = [each.nonzero().unbind(1) for each in kept]
    matrices = [
        SparseMatrix.from_entries(rows, columns, each[rows, columns], (7, 5))
        for (rows, columns), each in zip(places, kept, strict=True)
    ]
    torch.testing.assert_close(dense(maximum(matrices)), torch.stack(kept).amax(0))
    torch.testing.assert_close(dense(maximum(matrices[:1])), kept[0])


@pytest.mark.parametrize("products", [1, 20, 1 << 20], ids=["row by row", "blocks", "at once"])
def test_the_log_of_sums_of_exponentials_does_not_depend_on_blocks(
    products: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(blocks.LOGITS, "cpu", products)
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(11, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    others = torch.randn(8, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    expected = (rows @ others.t()).exp().sum(1).log()
    found = log_sum_exp_of_products(rows, others)
    torch.testing.assert_close(found, expected)
    wanted = torch.autograd.grad(expected.square().sum(), (rows, others))
    torch.testing.assert_close(torch.autograd.grad(found.square().sum(), (rows, others)), wanted)


def test_no_table_of_all_products_is_held_for_the_gradient() -> None:
    rows, others = torch.randn(50, 3, requires_grad=True), torch.randn(70, 3, requires_grad=True)
    held: list[int] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        held.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        log_sum_exp_of_products(rows, others).sum()
    assert max(held) == others.numel()


@pytest.mark.parametrize("rows", [0, 1])
def test_no_row_has_no_sum(rows: int) -> None:
    nothing = torch.ones(rows, 3, requires_grad=True)
    found = log_sum_exp_of_products(nothing, torch.ones(2, 3))
    found.sum().backward()
    assert found.tolist() == pytest.approx([3 + math.log(2)] * rows)
    assert nothing.grad is not None and nothing.grad.shape == (rows, 3)


def test_users_know_a_modality_through_their_items() -> None:
    graph = InteractionGraph(3, 4, torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1]))
    known = [torch.tensor([True, False, True, False]), torch.tensor([False, True, False, False])]
    users, items = (
        [[True, True], [False, True], [False, False]],
        [[True, False], [False, True], [True, False], [False] * 2],
    )
    assert known_nodes(graph, known).tolist() == users + items


def test_a_neighbourhood_size_a_modality() -> None:
    assert neighbourhood_sizes(("visual", "textual"), 10) == (10, 10)
    assert neighbourhood_sizes(("visual", "textual"), (40, 15)) == (40, 15)
    with pytest.raises(UserError, match=r"`top_k` has 2 sizes for 1 modalities \(visual\)"):
        neighbourhood_sizes(("visual",), (40, 15))
