"""LightGCN's sparse product on a real graph, by every way at hand: forward, and forward with backward.

    python performance/products.py [FOLDER with *.inter] [--threads 1 2] [--factors 64] [--rounds N]

A (U + I, U + I), symmetrically normalised, times (U + I, F). Ways whose product is not that of the others are refused.
scipy has no gradients, and knows one thread.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from catalogues import BABY, read_catalogue
from scipy.sparse import csr_array
from timing import best_seconds
from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.nn import LGConv

from benchmark.models.graphs import InteractionGraph, SparseMatrix
from workbench.console import show, table

Product = Callable[[Tensor], Any]
REPEATED = 3  # products a round


def main() -> None:
    """Measure with every number of threads and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=BABY)
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--factors", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # torch calls its CSR a beta
    matrix = InteractionGraph.of(read_catalogue(arguments.folder).data).adjacency()
    torch.manual_seed(0)
    dense = torch.randn(matrix.shape[1], arguments.factors)
    ways = products(matrix)
    for name, multiply in ways.items():
        torch.testing.assert_close(torch.as_tensor(multiply(dense)), matrix @ dense, msg=f"{name} is another product")
    rows: dict[str, list[str]] = {name: [] for name in ways}
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        forth = best_seconds({name: _forth(way, dense) for name, way in ways.items()}, arguments.rounds)
        differentiable = {name: _forth_and_back(way, dense) for name, way in ways.items() if name != "scipy"}
        both = best_seconds(differentiable, arguments.rounds)
        for name in ways:
            for seconds in (forth, both):
                rows[name].append(f"{1000 * seconds[name] / REPEATED:.2f}" if name in seconds else "-")
    show(f"{matrix.shape[0]:,} x {matrix.shape[1]:,}, {len(matrix.values):,} entries, {arguments.factors} factors, ms")
    headers = [f"{what}, {each} threads" for each in arguments.threads for what in ("forth", "forth and back")]
    show(table(["by", *headers], [[name, *cells] for name, cells in rows.items()]))


def products(matrix: SparseMatrix) -> dict[str, Product]:
    """The ways to multiply, everything prepared that can be."""
    pattern, values, shape = matrix.pattern, matrix.values, matrix.shape
    indptr, columns, rows = pattern.indptr, pattern.columns, pattern.rows
    csr = torch.sparse_csr_tensor(indptr, columns, values, shape)
    coo = torch.sparse_coo_tensor(torch.stack([rows, columns]), values, shape).coalesce()
    of_scipy = csr_array((values.numpy(), columns.numpy(), indptr.numpy()), shape=shape)
    edges = torch.stack([columns, rows])  # from, to
    messages = LGConv(normalize=False)
    ordered = EdgeIndex(edges.flip(0), sparse_size=shape, sort_order="row", is_undirected=True)
    ordered.fill_cache_()
    return {
        "ours": lambda dense: matrix @ dense,
        "torch CSR": lambda dense: csr @ dense,
        "torch COO": lambda dense: torch.sparse.mm(coo, dense),
        "scipy": lambda dense: of_scipy @ dense.numpy(),
        "torch_geometric, messages along edge_index": lambda dense: messages(dense, edges, values),
        "torch_geometric, EdgeIndex.matmul": lambda dense: ordered.matmul(dense, values),
    }


def _forth(multiply: Product, dense: Tensor) -> Callable[[], object]:
    def run() -> None:
        with torch.no_grad():
            for _ in range(REPEATED):
                multiply(dense)

    return run


def _forth_and_back(multiply: Product, dense: Tensor) -> Callable[[], object]:
    weights, gradient = dense.clone().requires_grad_(), torch.ones_like(dense)

    def run() -> None:
        for _ in range(REPEATED):
            weights.grad = None
            multiply(weights).backward(gradient)

    return run


if __name__ == "__main__":
    main()
