"""What MGCN and SMORE share: items seen through purified modalities beside the user-item view, and their loss."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import embedding

from benchmark.models.base import DotProductRecommender, MultimodalParams, TrainingData
from benchmark.models.contrastive import ContrastiveParams
from benchmark.models.graphs.interactions import InteractionGraph, known_nodes
from benchmark.models.graphs.sparse import SparseMatrix
from benchmark.models.layers import item_weights, mean_of_layers, xavier
from benchmark.models.losses import bpr_loss, half_squared_norms, info_nce
from benchmark.models.samplers import EdgeTriples, Triples


class PurifiedViews(nn.Module):
    """Items as signals show them, filtered by behaviour and smoothed over similar items, and users by their items.

    V_k = S_k^K (E_I * sigmoid(X_k W_k^T + b_k))        H_k = [R V_k; V_k]        * element by element

    An item that S_k leaves out has zeros in V_k, and adds nothing to its users.

    Parameters
    ----------
    graphs : the S_k, (I, I).
    interactions : R, (U, I), normalised.
    size : F.
    n_layers : K.
    """

    def __init__(self, graphs: Sequence[SparseMatrix], interactions: SparseMatrix, size: int, n_layers: int) -> None:
        super().__init__()
        self._graphs, self._interactions, self._n_layers = graphs, interactions, n_layers
        self.gates = nn.ModuleList(nn.Linear(size, size) for _ in graphs)

    def forward(self, items: Tensor, signals: Sequence[Tensor]) -> list[Tensor]:
        """The H_k (U + I, F) of the item vectors E_I (I, F) and the signals X_k (I, F)."""
        views = []
        for gate, graph, signal in zip(self.gates, self._graphs, signals, strict=True):
            view = items * gate(signal).sigmoid()
            for _ in range(self._n_layers):
                view = graph @ view
            views.append(torch.cat([self._interactions @ view, view]))
        return views


class ViewRecommender(DotProductRecommender):
    """A model with a behaviour vector b and a side vector h, fused from views, for every user and item.

    B = mean of E, A E, .. A^L E        s(u, i) = (b_u + h_u) . (b_i + h_i) = u . i

    loss = mean over (u, i, j) of -log sigmoid(s(u, i) - s(u, j)) + l_w / (2 B) (|u|^2 + |i|^2 + |j|^2)
           + c_l (InfoNCE(h_u, b_u) + InfoNCE(h_i, b_i))

    In the InfoNCE of a node the rows b of the other samples of the batch are the alternatives; a node without known
    features has no such term. Every training interaction is a triple once an epoch.

    E = [E_U; E_I]: `user_embeddings` (U, F), `item_embeddings` (I, F). A: `adjacency`, with D^-1/2 on both sides.
    """

    scores_new_items = True  # by the views of similar items

    class Params(ContrastiveParams, MultimodalParams):
        """factors: F. n_ui_layers: L. n_layers: K, of item graphs. l_w: weight of the squared norms of a batch's
        vectors. c_l, temperature: of InfoNCE."""

        factors: PositiveInt = 64
        n_ui_layers: PositiveInt = 2
        n_layers: PositiveInt = 1
        l_w: NonNegativeFloat = 1e-4
        c_l: NonNegativeFloat = 1e-2
        temperature: PositiveFloat = 0.2

    params: Params

    def __init__(self, params: Params, data: TrainingData, known: Sequence[Tensor]) -> None:
        """`known` : one (I,) bool a modality."""
        super().__init__()
        self.params, self.data = params, data
        graph = InteractionGraph.of(data)
        self.adjacency, self.interactions = graph.adjacency(), graph.interactions("symmetric")
        self.known = known_nodes(graph, known)
        self.user_embeddings = xavier(data.n_users, params.factors)
        self.item_embeddings = item_weights(data, params.factors)

    def side_views(self) -> list[Tensor]:
        """The views to fuse, each (U + I, F)."""
        raise NotImplementedError

    def fuse(self, behaviour: Tensor, views: list[Tensor], known: Tensor) -> Tensor:
        """H (N, F) of N nodes, from their rows of B (N, F), of the views (N, F) and of the mask (N, M)."""
        raise NotImplementedError

    def behaviour(self) -> Tensor:
        """B (U + I, F)."""
        nodes = torch.cat([self.user_embeddings, self.item_embeddings])
        return mean_of_layers(self.adjacency, nodes, self.params.n_ui_layers)

    def sampler(self) -> EdgeTriples:
        return EdgeTriples(self.data)

    def vectors(self) -> tuple[Tensor, Tensor]:
        behaviour = self.behaviour()
        nodes = behaviour + self.fuse(behaviour, self.side_views(), self.known)
        return nodes[: self.data.n_users], nodes[self.data.n_users :]

    def loss(self, batch: Triples) -> Tensor:
        nodes = torch.cat([batch.users, batch.positives + self.data.n_users, batch.negatives + self.data.n_users])
        behaviour, known = embedding(nodes, self.behaviour()), self.known[nodes]
        side = self.fuse(behaviour, [embedding(nodes, view) for view in self.side_views()], known)
        users, positives, negatives = (behaviour + side).chunk(3)
        total = bpr_loss((users * positives).sum(-1), (users * negatives).sum(-1))
        total = total + self.params.l_w * half_squared_norms(users, positives, negatives)
        for kind in range(2):  # users, positives
            h, b, counted = side.chunk(3)[kind], behaviour.chunk(3)[kind], known.any(1).chunk(3)[kind]
            total = total + self.params.c_l * info_nce(h, b, self.params.temperature, counted=counted)
        return total
