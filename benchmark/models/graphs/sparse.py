"""Sparse matrices times dense ones, with gradients to both.

A row of the product is a weighted sum of rows of the dense matrix, which is what `embedding_bag` computes: on the
processor that kernel takes a quarter of the time of torch's CSR product and a fortieth of that of message passing
(docs/models.md). The gradient of the dense matrix is the product with the transpose, by the same kernel.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from benchmark.models.lasting import lasting_property
from benchmark.models.precision import single_or_more

_BLOCK_VALUES = 1 << 22  # values of gathered rows held at a time

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # torch says once a process that its CSR is in beta
    torch.sparse_csr_tensor([0, 0], [], [], (1, 1))


class Pattern:
    """Where a matrix has entries: CSR, without values.

    Attributes
    ----------
    indptr : (N + 1,) int64; row r has its entries at indptr[r]:indptr[r + 1].
    columns : (E,) int64.
    shape : (N, M).
    """

    def __init__(self, indptr: Tensor, columns: Tensor, shape: tuple[int, int]) -> None:
        self.indptr, self.columns, self.shape = indptr, columns, shape

    @lasting_property
    def rows(self) -> Tensor:
        """(E,) int64: the row of each entry."""
        numbers = torch.arange(self.shape[0], device=self.indptr.device)
        return torch.repeat_interleave(numbers, self.indptr.diff(), output_size=len(self.columns))

    @lasting_property
    def transposed(self) -> tuple[Pattern, Tensor]:
        """The transpose, and the places (E,) here of its entries."""
        order = torch.argsort(self.columns, stable=True)
        return Pattern(row_pointers(self.columns, self.shape[1]), self.rows[order], self.shape[::-1]), order


class SparseMatrix:
    """A (N, M) matrix in CSR; `matrix @ dense` is differentiable in `dense`, and in `values` if they want a gradient.

    Attributes
    ----------
    pattern : where the entries are.
    values : (E,) float.
    """

    def __init__(self, pattern: Pattern, values: Tensor) -> None:
        self.pattern, self.values = pattern, values
        self._transposed_values: Tensor | None = None

    @staticmethod
    def from_entries(rows: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, int]) -> SparseMatrix:
        """From entries (E,) in any order; entries of the same place are added up by the product."""
        order = torch.argsort(rows * shape[1] + columns, stable=True)
        return SparseMatrix(Pattern(row_pointers(rows, shape[0]), columns[order], shape), values[order])

    @property
    def shape(self) -> tuple[int, int]:
        return self.pattern.shape

    def __matmul__(self, dense: Tensor) -> Tensor:
        """The product (N, F) with a dense (M, F), in single precision or more."""
        with torch.autocast(dense.device.type, enabled=False):
            full = single_or_more(dense).contiguous()  # the kernel is slow over strides
            return _Product.apply(self.values.to(full.dtype), full, self)

    def transposed_values(self, values: Tensor) -> Tensor:
        """Values (E,) in the order of the transpose's entries; those of a matrix that is not learned once."""
        if self.values.requires_grad:
            return values[self.pattern.transposed[1]]
        if self._transposed_values is None or self._transposed_values.dtype != values.dtype:
            self._transposed_values = values[self.pattern.transposed[1]]
        return self._transposed_values

    def row_sums(self) -> Tensor:
        """(N,)."""
        return sum_by_row(self.pattern, self.values)

    def scaled(self, rows: Tensor | None = None, columns: Tensor | None = None) -> SparseMatrix:
        """diag(rows) A diag(columns)."""
        values = self.values
        if rows is not None:
            values = values * rows[self.pattern.rows]
        if columns is not None:
            values = values * columns[self.pattern.columns]
        return SparseMatrix(self.pattern, values)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, dense: Tensor, matrix: SparseMatrix) -> Tensor:
        ctx.matrix = matrix
        ctx.save_for_backward(values, dense if ctx.needs_input_grad[0] else None)
        return _weighted_rows(matrix.pattern, values.detach(), dense.detach())  # detached, it notes less on the way

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        values, dense = ctx.saved_tensors
        matrix, gradient = ctx.matrix, gradients[0].contiguous()
        of_values = of_dense = None
        if ctx.needs_input_grad[0]:
            of_values = _inner_products(matrix.pattern, gradient, dense)
        if ctx.needs_input_grad[1]:
            of_dense = _weighted_rows(matrix.pattern.transposed[0], matrix.transposed_values(values), gradient)
        return of_values, of_dense, None


def _weighted_rows(pattern: Pattern, values: Tensor, dense: Tensor) -> Tensor:
    return functional.embedding_bag(
        pattern.columns, dense, pattern.indptr, mode="sum", per_sample_weights=values, include_last_offset=True
    )


def _inner_products(pattern: Pattern, left: Tensor, right: Tensor) -> Tensor:
    """(E,): left[row] . right[column] of every entry."""
    if left.device.type == "cpu":  # a tenth of the time of gathered rows, which go through memory
        zeros = left.new_zeros(len(pattern.columns))
        empty = torch.sparse_csr_tensor(pattern.indptr, pattern.columns, zeros, pattern.shape, check_invariants=False)
        return torch.sparse.sampled_addmm(empty, left, right.t(), beta=0).values()
    return _gathered_inner_products(pattern, left, right)


def _gathered_inner_products(pattern: Pattern, left: Tensor, right: Tensor) -> Tensor:
    """The same, some entries at a time."""
    block = max(1, _BLOCK_VALUES // left.shape[1])
    pairs = zip(pattern.rows.split(block), pattern.columns.split(block), strict=True)
    return torch.cat([(left[rows] * right[columns]).sum(-1) for rows, columns in pairs])


def inner_products(pattern: Pattern, left: Tensor, right: Tensor) -> Tensor:
    """(E,): left[row] . right[column] of every entry, left (N, F) and right (M, F); differentiable in both.

    The gradients are products with the sparse matrix of what comes back: nothing of size (E, F) is kept or scattered.
    """
    with torch.autocast(left.device.type, enabled=False):
        left, right = (single_or_more(each).contiguous() for each in (left, right))
        return _InnerProducts.apply(left, right, pattern)


class _InnerProducts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor, pattern: Pattern) -> Tensor:
        ctx.pattern = pattern
        ctx.save_for_backward(left, right)
        return _inner_products(pattern, left, right)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        left, right = ctx.saved_tensors
        pattern, gradient = ctx.pattern, gradients[0].contiguous()
        of_left = of_right = None
        if ctx.needs_input_grad[0]:
            of_left = _weighted_rows(pattern, gradient, right)
        if ctx.needs_input_grad[1]:
            transposed, places = pattern.transposed
            of_right = _weighted_rows(transposed, gradient[places], left)
        return of_left, of_right, None


def row_pointers(rows: Tensor, n_rows: int) -> Tensor:
    """(N + 1,) int64 from the row (E,) of every entry."""
    return functional.pad(torch.bincount(rows, minlength=n_rows).cumsum(0), (1, 0))


def sum_by_row(pattern: Pattern, values: Tensor) -> Tensor:
    """(N, ...): sums of the values (E, ...) of each row's entries."""
    return values.new_zeros(pattern.shape[0], *values.shape[1:]).index_add(0, pattern.rows, values)


def softmax_by_row(pattern: Pattern, scores: Tensor) -> Tensor:
    """(E,): softmax of scores (E,) among the entries of each row, in single precision or more."""
    scores = single_or_more(scores)  # sums of thousands of terms
    exponentials = (scores - _highest_by_row(pattern, scores)[pattern.rows]).exp()
    return exponentials / sum_by_row(pattern, exponentials)[pattern.rows]


def log_sum_exp_by_row(pattern: Pattern, scores: Tensor) -> Tensor:
    """(N,): log of the sum of the exponentials of scores (E,) of each row's entries; -inf of a row without any."""
    highest = _highest_by_row(pattern, scores)
    return highest + sum_by_row(pattern, (scores - highest[pattern.rows]).exp()).log()


def _highest_by_row(pattern: Pattern, scores: Tensor) -> Tensor:
    """(N,), without gradient; -inf of a row without entries."""
    highest = scores.new_full((pattern.shape[0],), -torch.inf)
    return highest.scatter_reduce(0, pattern.rows, scores.detach(), "amax")


def weighted_sum(matrices: Sequence[SparseMatrix], weights: Sequence[float]) -> SparseMatrix:
    """sum_m w_m A_m as one matrix; for matrices that are not learned."""
    values = torch.cat([weight * each.values for each, weight in zip(matrices, weights, strict=True)])
    pattern, places = _union(matrices)
    return SparseMatrix(pattern, values.new_zeros(len(pattern.columns)).index_add(0, places, values))


def maximum(matrices: Sequence[SparseMatrix]) -> SparseMatrix:
    """The largest entry of each place among matrices without negative ones, as one matrix; for those not learned."""
    values = torch.cat([each.values for each in matrices])
    pattern, places = _union(matrices)
    return SparseMatrix(pattern, values.new_zeros(len(pattern.columns)).scatter_reduce(0, places, values, "amax"))


def _union(matrices: Sequence[SparseMatrix]) -> tuple[Pattern, Tensor]:
    """Where any matrix has an entry, and the place there of every entry of every matrix."""
    n_rows, n_columns = matrices[0].shape
    keys = torch.cat([each.pattern.rows * n_columns + each.pattern.columns for each in matrices])
    union, places = torch.unique(keys, return_inverse=True)
    return Pattern(row_pointers(union // n_columns, n_rows), union % n_columns, (n_rows, n_columns)), places
