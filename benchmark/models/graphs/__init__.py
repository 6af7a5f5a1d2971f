"""Graphs of users and items as sparse matrices on the device."""

from benchmark.models.graphs.co_occurrence import co_occurring_users
from benchmark.models.graphs.interactions import InteractionGraph, sample_edges
from benchmark.models.graphs.neighbours import Neighbours, cosine_neighbours, neighbour_graph
from benchmark.models.graphs.normalisation import normalised
from benchmark.models.graphs.sparse import SparseMatrix, inner_products, softmax_by_row, sum_by_row, weighted_sum

__all__ = [
    "InteractionGraph",
    "Neighbours",
    "SparseMatrix",
    "co_occurring_users",
    "cosine_neighbours",
    "inner_products",
    "neighbour_graph",
    "normalised",
    "sample_edges",
    "softmax_by_row",
    "sum_by_row",
    "weighted_sum",
]
