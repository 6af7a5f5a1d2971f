"""The bipartite graph of the training part."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from benchmark.models.base import TrainingData
from benchmark.models.graphs.normalisation import Normalisation, normalised
from benchmark.models.graphs.sparse import Pattern, SparseMatrix, row_pointers
from benchmark.models.lasting import lasting_property


class InteractionGraph:
    """Users are nodes 0 .. U - 1, items are nodes U .. U + I - 1.

    Attributes
    ----------
    users, items : (E,) int64, the ends of the edges, ordered by user and item; items counted from 0.
    """

    def __init__(self, n_users: int, n_items: int, users: Tensor, items: Tensor) -> None:
        self.n_users, self.n_items, self.users, self.items = n_users, n_items, users, items

    @staticmethod
    def of(data: TrainingData) -> InteractionGraph:
        """The graph of all training interactions, made once for all trials."""

        def make() -> InteractionGraph:
            numbers = torch.arange(data.n_users, device=data.device)
            users = torch.repeat_interleave(numbers, data.indptr.diff(), output_size=len(data.items))
            return InteractionGraph(data.n_users, data.n_items, users, data.items)

        return data.derived("interaction graph", make)

    def __len__(self) -> int:
        return len(self.users)

    @property
    def n_nodes(self) -> int:
        return self.n_users + self.n_items

    @lasting_property
    def user_degrees(self) -> Tensor:
        """(U,) int64."""
        return torch.bincount(self.users, minlength=self.n_users)

    @lasting_property
    def item_degrees(self) -> Tensor:
        """(I,) int64."""
        return torch.bincount(self.items, minlength=self.n_items)

    @lasting_property
    def edge_weights(self) -> Tensor:
        """(E,) float32: 1 / sqrt(d_u d_i), the symmetrically normalised weight of each edge."""
        return (self.user_degrees[self.users] * self.item_degrees[self.items]).float().rsqrt()

    @lasting_property
    def _by_item(self) -> Tensor:
        return torch.argsort(self.items, stable=True)

    @lasting_property
    def pattern(self) -> Pattern:
        """Of the (U + I, U + I) adjacency: first the edges (u, U + i) in their order, then (U + i, u) by item."""
        rows = torch.cat([self.users, self.items[self._by_item] + self.n_users])
        columns = torch.cat([self.items + self.n_users, self.users[self._by_item]])
        return Pattern(row_pointers(rows, self.n_nodes), columns, (self.n_nodes, self.n_nodes))

    def matrix(self, to_users: Tensor, to_items: Tensor) -> SparseMatrix:
        """The adjacency with weights (E,) of its edges, in their order: entry (u, U + i) and entry (U + i, u)."""
        return SparseMatrix(self.pattern, torch.cat([to_users, to_items[self._by_item]]))

    def adjacency(self, normalisation: Normalisation | None = "symmetric", self_loops: bool = False) -> SparseMatrix:
        """The normalised adjacency (U + I, U + I); with self loops, every node is its own neighbour before that."""
        if not self_loops:
            ones = torch.ones(len(self), device=self.users.device)
            plain = self.matrix(ones, ones)
        else:
            nodes = torch.arange(self.n_nodes, device=self.users.device)
            rows, columns = torch.cat([self.pattern.rows, nodes]), torch.cat([self.pattern.columns, nodes])
            ones = torch.ones(len(rows), device=rows.device)
            plain = SparseMatrix.from_entries(rows, columns, ones, self.pattern.shape)
        return plain if normalisation is None else normalised(plain, normalisation)

    def interactions(self, normalisation: Normalisation | None = None) -> SparseMatrix:
        """R (U, I), by default with entries 1; `symmetric`: divided by sqrt(d_u d_i); `random_walk`: by d_u."""
        pattern = Pattern(row_pointers(self.users, self.n_users), self.items, (self.n_users, self.n_items))
        if normalisation == "symmetric":
            return SparseMatrix(pattern, self.edge_weights)
        plain = SparseMatrix(pattern, torch.ones(len(self), device=self.users.device))
        return plain if normalisation is None else normalised(plain, normalisation)

    def subgraph(self, kept: Tensor) -> InteractionGraph:
        """The graph of some of the edges, (E,) bool or their places in ascending order; its degrees are its own."""
        return InteractionGraph(self.n_users, self.n_items, self.users[kept], self.items[kept])


def known_nodes(graph: InteractionGraph, known: Sequence[Tensor]) -> Tensor:
    """(U + I, M) bool: whether users have items with features of modality m, then whether items have such features.

    Parameters
    ----------
    known : one (I,) bool a modality.
    """
    items = torch.stack(list(known), dim=1)
    users = graph.interactions() @ items.float() > 0
    return torch.cat([users, items])


def sample_edges(
    graph: InteractionGraph, share: float, generator: torch.Generator, weights: Tensor | None = None
) -> Tensor:
    """Places, ascending, of round(share E) edges, at least one, drawn without replacement.

    Uniformly, or in proportion to weights (E,), by exponential races: an edge finishes at Exp(1) / weight, and the
    first ones are kept (Efraimidis and Spirakis, 2006), which is drawing one after the other without replacement.
    """
    uniform = torch.rand(len(graph), generator=generator, device=graph.users.device, dtype=torch.float64)
    finish = -torch.log1p(-uniform)
    if weights is not None:
        finish = finish / weights
    kept = min(len(graph), max(1, round(share * len(graph))))
    return torch.topk(finish, kept, largest=False, sorted=False).indices.sort().values
