"""Normalised adjacencies."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from benchmark.models.graphs.sparse import SparseMatrix

Normalisation = Literal["symmetric", "random_walk"]


def normalised(matrix: SparseMatrix, normalisation: Normalisation = "symmetric") -> SparseMatrix:
    """A with its weights divided by degrees, the degree of a node being the sum of its row.

    symmetric    D^-1/2 A D^-1/2 (Kipf and Welling, ICLR 2017)
    random_walk  D^-1 A: rows sum to 1

    Nodes of degree 0 keep empty rows and columns of zeros.
    """
    degrees = matrix.row_sums()
    if normalisation == "random_walk":
        return matrix.scaled(_power(degrees, -1))
    return matrix.scaled(_power(degrees, -0.5), _power(degrees, -0.5))


def _power(degrees: Tensor, exponent: float) -> Tensor:
    """degrees^exponent, 0 where the degree is not positive; with gradients that are numbers everywhere."""
    positive = degrees > 0
    return degrees.where(positive, degrees.new_ones(())).pow(exponent).where(positive, degrees.new_zeros(()))
