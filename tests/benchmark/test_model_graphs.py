"""Sparse matrices and the interaction graph, held against dense literals and against torch_geometric."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
import torch
from bench_cases import training_data
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch import Tensor
from torch_geometric.nn import LGConv
from torch_geometric.nn.conv.gcn_conv import gcn_norm
from torch_geometric.utils import degree, scatter, softmax, to_dense_adj, to_undirected

from benchmark.models.graphs import (
    InteractionGraph,
    SparseMatrix,
    inner_products,
    normalised,
    sample_edges,
    softmax_by_row,
    sum_by_row,
    weighted_sum,
)
from benchmark.models.graphs.sparse import Pattern, _gathered_inner_products, maximum, row_pointers

GRAPH = [[0, 3], [1], [0, 1, 2, 3, 4], [], [2, 3, 4], [4]]  # user 3 has nothing, and nobody has item 5
N_ITEMS = 6
N_NODES = len(GRAPH) + N_ITEMS


def dense(matrix: SparseMatrix) -> Tensor:
    """(N, M), entry by entry."""
    found = torch.zeros(matrix.shape, dtype=matrix.values.dtype)
    for row in range(matrix.shape[0]):
        for place in range(int(matrix.pattern.indptr[row]), int(matrix.pattern.indptr[row + 1])):
            found[row, matrix.pattern.columns[place]] += matrix.values[place]
    return found


def drawn_matrix(seed: int = 0, shape: tuple[int, int] = (5, 7), dtype: torch.dtype = torch.float64) -> SparseMatrix:
    """With empty rows and columns, entries in no order, and one place that occurs twice."""
    torch.manual_seed(seed)
    rows, columns = torch.tensor([3, 0, 0, 4, 3, 0, 3]), torch.tensor([6, 5, 0, 2, 1, 5, 0])
    return SparseMatrix.from_entries(rows, columns, torch.randn(7, dtype=dtype), shape)


def graph(items_of: list[list[int]] = GRAPH, n_items: int = N_ITEMS) -> InteractionGraph:
    return InteractionGraph.of(training_data(items_of, n_items))


def literal_adjacency(
    items_of: list[list[int]], n_items: int, normalisation: str | None, self_loops: bool = False
) -> np.ndarray:
    n_users = len(items_of)
    found = np.zeros((n_users + n_items,) * 2)
    for user, items in enumerate(items_of):
        for item in items:
            found[user, n_users + item] = found[n_users + item, user] = 1
    if self_loops:
        found += np.eye(len(found))
    if normalisation is None:
        return found
    degrees = found.sum(1)
    with np.errstate(divide="ignore"):
        if normalisation == "symmetric":
            halves = np.where(degrees > 0, degrees**-0.5, 0)
            return halves[:, None] * found * halves
        return np.where(degrees > 0, 1 / degrees, 0)[:, None] * found


# --- sparse matrices


def test_entries_in_any_order_make_a_matrix_and_equal_places_add_up() -> None:
    rows, columns, values = torch.tensor([2, 0, 2, 0, 2]), torch.tensor([1, 2, 0, 2, 1]), torch.arange(1.0, 6.0)
    matrix = SparseMatrix.from_entries(rows, columns, values, (4, 3))
    assert matrix.pattern.indptr.tolist() == [0, 2, 2, 5, 5]
    assert matrix.pattern.rows.tolist() == [0, 0, 2, 2, 2]
    expected = torch.zeros(4, 3)
    for row, column, value in zip(rows, columns, values, strict=True):
        expected[row, column] += value
    assert torch.equal(dense(matrix), expected)
    assert torch.equal(matrix @ torch.eye(3), expected)
    assert torch.equal(row_pointers(rows, 4), matrix.pattern.indptr)


@pytest.mark.parametrize("width", [1, 3, 64])
def test_a_product_and_both_its_gradients_are_those_of_the_dense_matrix(width: int) -> None:
    matrix = drawn_matrix()
    values = matrix.values.clone().requires_grad_()
    right = torch.randn(7, width, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(5, width, dtype=torch.float64)
    product = SparseMatrix(matrix.pattern, values) @ right
    product.backward(weights)
    literal = dense(matrix).requires_grad_()
    other = right.detach().clone().requires_grad_()
    (literal @ other).backward(weights)
    assert literal.grad is not None and other.grad is not None and right.grad is not None and values.grad is not None
    torch.testing.assert_close(product, literal @ other)
    torch.testing.assert_close(right.grad, other.grad)
    places = zip(matrix.pattern.rows, matrix.pattern.columns, strict=True)
    torch.testing.assert_close(values.grad, torch.stack([literal.grad[row, column] for row, column in places]))
    assert torch.equal(product[[1, 2]], torch.zeros(2, width, dtype=torch.float64)), "empty rows"


def test_gradients_of_first_and_second_order_pass_torchs_own_check() -> None:
    matrix = drawn_matrix()
    values = matrix.values.clone().requires_grad_()
    right = torch.randn(7, 3, dtype=torch.float64, requires_grad=True)

    def product(values: Tensor, right: Tensor) -> Tensor:
        return SparseMatrix(matrix.pattern, values) @ right

    assert torch.autograd.gradcheck(product, (values, right))
    assert torch.autograd.gradgradcheck(product, (values, right))
    assert torch.autograd.gradcheck(lambda right: matrix @ right, (right,)), "a matrix that is not learned"
    left = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda left, right: inner_products(matrix.pattern, left, right), (left, right))


def test_inner_products_are_those_of_the_ends_of_every_entry() -> None:
    left, right = torch.randn(5, 4), torch.randn(7, 4)
    in_no_order = Pattern(torch.tensor([0, 3, 3, 3, 4, 7]), torch.tensor([5, 0, 5, 2, 6, 0, 1]), (5, 7))
    for pattern in (drawn_matrix().pattern, in_no_order):
        expected = [float(left[row] @ right[column]) for row, column in zip(pattern.rows, pattern.columns, strict=True)]
        torch.testing.assert_close(inner_products(pattern, left, right), torch.tensor(expected))


def test_inner_products_on_other_devices_are_made_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    pattern, left, right = drawn_matrix().pattern, torch.randn(5, 4), torch.randn(7, 4)
    monkeypatch.setattr("benchmark.models.graphs.sparse._BLOCK_VALUES", 9)  # two entries
    torch.testing.assert_close(_gathered_inner_products(pattern, left, right), inner_products(pattern, left, right))


def test_a_learned_matrix_is_differentiated_with_its_present_values() -> None:
    """The values of the transpose are kept for fixed matrices only."""
    matrix = drawn_matrix()
    for factor in (1.0, 3.0):
        values = (factor * matrix.values).requires_grad_()
        right = torch.ones(7, 2, dtype=torch.float64, requires_grad=True)
        (SparseMatrix(matrix.pattern, values) @ right).sum().backward()
        assert right.grad is not None
        torch.testing.assert_close(right.grad, factor * dense(matrix).sum(0)[:, None].expand(7, 2))
    fixed = drawn_matrix(dtype=torch.float32)
    for dtype in (torch.float32, torch.float64):  # one after the other
        right = torch.ones(7, 2, dtype=dtype, requires_grad=True)
        (fixed @ right).sum().backward()
        assert right.grad is not None and right.grad.dtype == dtype
        torch.testing.assert_close(right.grad, dense(fixed).to(dtype).sum(0)[:, None].expand(7, 2))


def test_strided_and_expanded_operands_give_the_same_product() -> None:
    matrix = drawn_matrix(dtype=torch.float32)
    whole = torch.randn(4, 14)
    strided = whole.t()[::2]
    assert not strided.is_contiguous()
    torch.testing.assert_close(matrix @ strided, dense(matrix) @ strided)
    torch.testing.assert_close(matrix @ torch.ones(1, 1).expand(7, 4), dense(matrix) @ torch.ones(7, 4))
    values = torch.randn(14)[::2].requires_grad_()
    strided = strided.detach().requires_grad_()
    product = SparseMatrix(matrix.pattern, values) @ strided
    product.sum().backward()  # an expanded gradient
    assert values.grad is not None and strided.grad is not None
    torch.testing.assert_close(product.detach(), dense(SparseMatrix(matrix.pattern, values.detach())) @ strided)
    places = zip(matrix.pattern.rows, matrix.pattern.columns, strict=True)
    torch.testing.assert_close(values.grad, torch.stack([strided[column].sum() for _, column in places]))


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_precision_is_multiplied_and_summed_in_single(half: torch.dtype) -> None:
    n = 5000
    row_of_ones = SparseMatrix.from_entries(torch.zeros(n).long(), torch.arange(n), torch.ones(n), (1, n))
    right = torch.ones(n, 2, dtype=half, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        product = row_of_ones @ right
        assert product.dtype == torch.float32 and product.tolist() == [[n, n]]
        shares = softmax_by_row(row_of_ones.pattern, torch.zeros(n, dtype=half))
        assert shares.dtype == torch.float32
        torch.testing.assert_close(shares, torch.full((n,), 1 / n))
        assert inner_products(row_of_ones.pattern, right[:1], right).dtype == torch.float32
    product.sum().backward()
    assert right.grad is not None and right.grad.dtype == half and torch.equal(right.grad, torch.ones_like(right))


def test_a_matrix_without_entries_multiplies_to_zeros() -> None:
    nothing = torch.empty(0, dtype=torch.long)
    values = torch.empty(0, requires_grad=True)
    matrix = SparseMatrix(SparseMatrix.from_entries(nothing, nothing, torch.empty(0), (3, 2)).pattern, values)
    right = torch.randn(2, 4, requires_grad=True)
    product = matrix @ right
    assert torch.equal(product, torch.zeros(3, 4))
    product.sum().backward()
    assert right.grad is not None and values.grad is not None
    assert torch.equal(right.grad, torch.zeros(2, 4)) and values.grad.shape == (0,)
    assert softmax_by_row(matrix.pattern, torch.empty(0)).shape == (0,)
    assert torch.equal(normalised(matrix).row_sums(), torch.zeros(3))
    assert weighted_sum([matrix, matrix], [1, 2]).values.shape == (0,)


def test_the_transpose_has_every_entry_and_says_where_it_stood() -> None:
    matrix = drawn_matrix()
    pattern, places = matrix.pattern.transposed
    assert pattern.shape == (7, 5)
    torch.testing.assert_close(dense(SparseMatrix(pattern, matrix.values[places])), dense(matrix).t())


def test_rows_and_columns_are_scaled() -> None:
    matrix, rows, columns = drawn_matrix(), torch.randn(5).double(), torch.randn(7).double()
    torch.testing.assert_close(dense(matrix.scaled(rows, columns)), rows.diag() @ dense(matrix) @ columns.diag())
    torch.testing.assert_close(dense(matrix.scaled(rows)), rows.diag() @ dense(matrix))
    torch.testing.assert_close(dense(matrix.scaled(columns=columns)), dense(matrix) @ columns.diag())
    torch.testing.assert_close(matrix.row_sums(), dense(matrix).sum(1))


def test_sums_and_softmax_by_row_are_torch_geometrics() -> None:
    pattern = drawn_matrix().pattern
    scores = torch.tensor([90.0, -1, 0.5, 200, 3, 3, -400], dtype=torch.float64, requires_grad=True)
    shares = softmax_by_row(pattern, scores)
    torch.testing.assert_close(shares, softmax(scores, pattern.rows, num_nodes=5))
    assert sum_by_row(pattern, shares).tolist() == pytest.approx([1, 0, 0, 1, 1])
    assert torch.autograd.gradcheck(lambda scores: softmax_by_row(pattern, scores), (scores,))
    assert softmax_by_row(pattern, scores.detach().float() * 1e4).isfinite().all()
    wide = torch.randn(7, 2, 3)
    torch.testing.assert_close(sum_by_row(pattern, wide), scatter(wide, pattern.rows, dim_size=5))


def test_matrices_are_added_up_with_weights() -> None:
    matrices = [drawn_matrix(0), drawn_matrix(1), SparseMatrix.from_entries(*_one_entry(), (5, 7))]
    total = weighted_sum(matrices, [0.1, 0.9, -2])
    expected = 0.1 * dense(matrices[0]) + 0.9 * dense(matrices[1]) - 2 * dense(matrices[2])
    torch.testing.assert_close(dense(total), expected)
    keys = total.pattern.rows * 7 + total.pattern.columns
    assert (keys.diff() > 0).all(), "one entry a place, in order"
    with pytest.raises(ValueError, match="shorter"):
        weighted_sum(matrices, [1.0])


def test_the_largest_entry_of_each_place_is_found() -> None:
    matrices = [drawn_matrix(0), drawn_matrix(1), SparseMatrix.from_entries(*_one_entry(), (5, 7))]
    single = [weighted_sum([SparseMatrix(each.pattern, each.values.abs())], [1.0]) for each in matrices]
    expected = torch.stack([dense(each) for each in single]).amax(0)
    torch.testing.assert_close(dense(maximum(single)), expected)


def _one_entry() -> tuple[Tensor, Tensor, Tensor]:
    return torch.tensor([2]), torch.tensor([3]), torch.tensor([1.5]).double()


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.floats(-2, 2)), max_size=15),
    st.sampled_from(["symmetric", "random_walk"]),
)
def test_normalised_matrices_divide_by_the_sums_of_rows(
    entries: list[tuple[int, int, float]], normalisation: str
) -> None:
    rows, columns, values = (torch.tensor([entry[place] for entry in entries]) for place in range(3))
    values = values.double().abs()
    matrix = SparseMatrix.from_entries(rows.long(), columns.long(), values, (6, 6))
    found = dense(normalised(matrix, normalisation))  # type: ignore[arg-type]
    plain, sums = dense(matrix), dense(matrix).sum(1)
    for row, column in itertools.product(range(6), range(6)):
        divisor = sums[row] if normalisation == "random_walk" else (sums[row] * sums[column]).sqrt()
        expected = plain[row, column] / divisor if plain[row, column] and divisor > 0 else 0.0
        assert found[row, column] == pytest.approx(float(expected), rel=1e-9)


def test_the_normalisation_of_a_learned_matrix_has_finite_gradients() -> None:
    values = torch.zeros(7, requires_grad=True)  # all degrees are 0
    matrix = SparseMatrix(drawn_matrix(shape=(7, 7)).pattern, values)
    (normalised(matrix).values.sum() + normalised(matrix, "random_walk").values.sum()).backward()
    assert values.grad is not None and values.grad.isfinite().all()


# --- the interaction graph


@pytest.mark.parametrize("self_loops", [False, True])
@pytest.mark.parametrize("normalisation", [None, "symmetric", "random_walk"])
def test_adjacencies_are_the_literal_ones(normalisation: str | None, self_loops: bool) -> None:
    found = dense(graph().adjacency(normalisation, self_loops))  # type: ignore[arg-type]
    expected = literal_adjacency(GRAPH, N_ITEMS, normalisation, self_loops)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-7)


@pytest.mark.parametrize("normalisation", [None, "symmetric", "random_walk"])
def test_the_interaction_matrix_is_the_upper_right_of_the_adjacency(normalisation: str | None) -> None:
    found = dense(graph().interactions(normalisation))  # type: ignore[arg-type]
    n_users = len(GRAPH)
    expected = literal_adjacency(GRAPH, N_ITEMS, normalisation)[:n_users, n_users:]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-7)


def edge_index(items_of: list[list[int]] = GRAPH) -> Tensor:
    """The undirected edges as torch_geometric has them."""
    pairs = [(user, len(items_of) + item) for user, items in enumerate(items_of) for item in items]
    return to_undirected(torch.tensor(pairs).t(), num_nodes=len(items_of) + N_ITEMS)


@pytest.mark.parametrize("self_loops", [False, True])
def test_torch_geometric_normalises_alike(self_loops: bool) -> None:
    edges, weights = gcn_norm(edge_index(), num_nodes=N_NODES, add_self_loops=self_loops)
    expected = to_dense_adj(edges, edge_attr=weights, max_num_nodes=N_NODES)[0]
    torch.testing.assert_close(dense(graph().adjacency("symmetric", self_loops)), expected)


def test_torch_geometric_propagates_alike_and_differentiates_alike() -> None:
    nodes = torch.randn(N_NODES, 8, requires_grad=True)
    weights = torch.randn(N_NODES, 8)
    ours = graph().adjacency() @ nodes
    ours.backward(weights)
    assert nodes.grad is not None
    gradient, nodes.grad = nodes.grad, None
    theirs = LGConv()(nodes, edge_index())
    theirs.backward(weights)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(gradient, nodes.grad)


def test_degrees_and_edge_weights_are_those_of_the_training_part() -> None:
    made = graph()
    counted = degree(edge_index()[0], N_NODES, torch.long)
    assert torch.equal(torch.cat([made.user_degrees, made.item_degrees]), counted)
    expected = [1 / np.sqrt(len(items) * sum(item in others for others in GRAPH)) for items in GRAPH for item in items]
    np.testing.assert_allclose(made.edge_weights.numpy(), expected, rtol=1e-6)
    assert (len(made), made.n_nodes) == (12, N_NODES)


def test_learned_weights_reach_both_directions_of_their_edge() -> None:
    made = graph()
    to_users, to_items = (torch.randn(len(made), requires_grad=True) for _ in range(2))
    matrix = made.matrix(to_users, to_items)
    expected = torch.zeros(N_NODES, N_NODES)
    for place, (user, item) in enumerate(zip(made.users, made.items, strict=True)):
        expected[user, len(GRAPH) + item] = to_users[place].detach()
        expected[len(GRAPH) + item, user] = to_items[place].detach()
    found = SparseMatrix(matrix.pattern, matrix.values.detach())
    assert torch.equal(dense(found), expected)
    (matrix @ torch.ones(N_NODES, 1))[: len(GRAPH)].sum().backward()
    assert to_users.grad is not None and to_items.grad is not None
    assert torch.equal(to_users.grad, torch.ones(len(made))) and not to_items.grad.any()


@pytest.mark.parametrize("as_places", [False, True])
def test_a_subgraph_has_some_edges_and_degrees_of_its_own(as_places: bool) -> None:
    kept = torch.tensor([1, 0, 1, 1, 0, 0, 1, 0, 1, 1, 0, 1]).bool()
    made = graph().subgraph(kept.nonzero().flatten() if as_places else kept)
    left = iter(kept.tolist())
    items_of = [[item for item in items if next(left)] for items in GRAPH]
    for normalisation in (None, "symmetric"):
        expected = literal_adjacency(items_of, N_ITEMS, normalisation)
        np.testing.assert_allclose(dense(made.adjacency(normalisation)).numpy(), expected, atol=1e-7)  # type: ignore[arg-type]


def test_a_graph_without_edges_propagates_nothing() -> None:
    bare = graph().subgraph(torch.zeros(12, dtype=torch.bool))
    nodes = torch.randn(N_NODES, 3, requires_grad=True)
    (bare.adjacency() @ nodes).sum().backward()
    assert nodes.grad is not None and not nodes.grad.any()
    torch.testing.assert_close(bare.adjacency(self_loops=True) @ nodes, nodes)
    assert sample_edges(bare, 0.5, torch.Generator()).shape == (0,)


def test_the_graph_is_made_once_for_all_trials_on_the_same_data() -> None:
    data = training_data(GRAPH, N_ITEMS)
    assert InteractionGraph.of(data) is InteractionGraph.of(data)
    assert InteractionGraph.of(data) is not InteractionGraph.of(training_data(GRAPH, N_ITEMS))


def test_what_an_evaluation_asked_for_first_serves_training_later() -> None:
    data = training_data(GRAPH, N_ITEMS)
    with torch.inference_mode():
        made = InteractionGraph.of(data)
        adjacency = made.adjacency()
        adjacency @ torch.randn(N_NODES, 2)
        assert made.user_degrees.is_inference() is made.item_degrees.is_inference() is False
        assert made.edge_weights.is_inference() is made.pattern.rows.is_inference() is False
        assert not made.pattern.transposed[0].columns.is_inference()
    learned = torch.ones(len(made), requires_grad=True)
    weights = softmax_by_row(made.pattern, torch.cat([learned, learned])) * made.edge_weights.repeat(2)
    nodes = torch.randn(N_NODES, 2, requires_grad=True)
    (normalised(SparseMatrix(made.pattern, weights)) @ nodes).square().sum().backward()
    assert learned.grad is not None and nodes.grad is not None


# --- sampled edges


@pytest.mark.parametrize("share", [0.0, 0.05, 0.2, 0.5, 0.99, 1.0])
def test_as_many_edges_are_kept_as_asked_for_in_order_and_each_once(share: float) -> None:
    made = graph()
    for weights in (None, made.edge_weights):
        kept = sample_edges(made, share, torch.Generator().manual_seed(0), weights)
        assert len(kept) == max(1, round(share * 12))
        assert (kept.diff() > 0).all() and kept.min() >= 0 and kept.max() < 12


def test_without_weights_every_set_of_edges_is_as_likely_as_any_other() -> None:
    counts = _drawn_sets(None)
    assert len(counts) == 10
    assert chisquare(list(counts.values())).pvalue > 1e-3


def test_with_weights_edges_are_drawn_one_after_the_other_in_proportion() -> None:
    """P({a, b}) = w_a / W . w_b / (W - w_a) + w_b / W . w_a / (W - w_b)."""
    weights = torch.tensor([1.0, 2, 3, 0.5, 6])
    total = float(weights.sum())
    expected = {
        (a, b): float(weights[a] * weights[b])
        / total
        * (1 / (total - float(weights[a])) + 1 / (total - float(weights[b])))
        for a, b in itertools.combinations(range(5), 2)
    }
    assert sum(expected.values()) == pytest.approx(1)
    counts = _drawn_sets(weights)
    drawn = sum(counts.values())
    assert chisquare([counts[pair] for pair in expected], [drawn * each for each in expected.values()]).pvalue > 1e-3
    uniform = chisquare([counts[pair] for pair in expected]).pvalue
    assert uniform < 1e-12, "a power check: uniform draws would be seen"


def _drawn_sets(weights: Tensor | None) -> Counter[tuple[int, ...]]:
    made, generator = graph([[0, 1, 2, 3, 4]], 5), torch.Generator().manual_seed(5)
    return Counter(tuple(sample_edges(made, 0.4, generator, weights).tolist()) for _ in range(5000))


def test_edges_of_no_weight_come_last_and_the_draws_follow_from_the_seed() -> None:
    made = graph()
    weights = torch.ones(12)
    weights[[0, 5, 7]] = 0
    for seed in range(20):
        kept = sample_edges(made, 0.75, torch.Generator().manual_seed(seed), weights)
        assert not {0, 5, 7} & set(kept.tolist())
    first, second = (sample_edges(made, 0.5, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)
    generator = torch.Generator().manual_seed(3)
    draws = {tuple(sample_edges(made, 0.5, generator).tolist()) for _ in range(10)}
    assert len(draws) > 5, "every epoch draws anew"
