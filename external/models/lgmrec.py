"""LGMRec: local graphs and global hypergraphs of modalities (Guo et al., AAAI 2024).

Local, behaviour     B = mean of E, A E, .. A^L E          E = [E_U; E_I]
Local, modality m    G_m = A^K [R_m X_m; X_m]              X_m = F_m W_m, R_m X_m: the mean over the items of a user
Hyperedges           H_m = soft([R; 1] F_m V_m^T)          (U + I, Q), users first
                     soft(z) = softmax((z + g) / temperature) over the Q hyperedges, g: Gumbel noise, in training
Global, modality m   C_m = H_m Y_m                         Y_m^(t) = H_m,I^T H_m,I Y_m^(t-1), Y_m^(1) = H_m,I^T B_I
                     Y_m = Y_m^(T), H_m,I and B_I the rows of items; in training entries of H_m are dropped
Together             N = B + sum_m G_m / |G_m| + alpha C / |C|, C = sum_m C_m, lengths row by row

score(u, i) = n_u . n_i

loss = mean over (u, i, j) of -log sigmoid(score(u, i) - score(u, j)) + reg_weight / B (|N_u|_F + |N_i|_F + |N_j|_F)
       + cl_weight sum over m < m', u and i of InfoNCE(c_m, c_m') among the c_m' of all users, or of all items

A = D^-1/2 [[0, R], [R^T, 0]] D^-1/2, R the training part. |N_u|_F is the Frobenius norm of the batch's rows, not
squared, and InfoNCE is summed over the batch and not averaged, as in the authors' code: `cl_weight` belongs to a batch
size.

Any number of modalities: the contrast is between all pairs of them, none of one. What lacks m (an item without its
features, a user of such items only) has rows of zeros in X_m and H_m, no InfoNCE term with m, and is no alternative
there; the mean of a user is over the items that have m.

Departures: scores have no noise, where the authors' code draws g for them, too; g is Gumbel's as there, where the paper
writes log d - log(1 - d) of a uniform d.

Cost an epoch: for every batch L + M K products with A, M with R of Q columns and M with R_m of F, and as many back; the
products of all items' features with W_m and V_m, since every item is in every hyperedge, I D (F + Q) a modality, which
outweigh the former for thousands of dimensions; B (U + I) exponentials a pair of modalities, which outweigh the former
always.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Annotated, NamedTuple

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import embedding, gumbel_softmax, normalize

from benchmark.models.base import DotProductRecommender, MultimodalParams, TrainingData
from benchmark.models.contrastive import ContrastiveParams
from benchmark.models.graphs import InteractionGraph, normalised
from benchmark.models.graphs.interactions import known_nodes
from benchmark.models.layers import Projections, item_weights, mean_of_layers, xavier
from benchmark.models.losses import bpr_loss, frobenius_norms, log_sum_exp_of_products
from benchmark.models.samplers import EdgeTriples, Triples


class Hypergraph(NamedTuple):
    """Of one modality: H (N, Q), the shares of nodes in hyperedges, and Y (Q, F), the vectors of hyperedges."""

    shares: Tensor
    edges: Tensor

    def at(self, nodes: Tensor) -> Hypergraph:
        """Of some nodes, or of a node several times."""
        return Hypergraph(embedding(nodes, self.shares), self.edges)

    @property
    def vectors(self) -> Tensor:
        """C (N, F)."""
        return self.shares @ self.edges


class LGMRec(DotProductRecommender):
    """E: `user_embeddings` (U, F), `item_embeddings` (I, F); W: `projections`; V: `hyperedges`; R_m: `user_means`."""

    scores_new_items = True  # by the hyperedges

    class Params(ContrastiveParams, MultimodalParams):
        """factors: F. n_ui_layers: L. n_mm_layers: K. n_hyper_layers: T. hyper_num: Q. keep_rate: share of the entries
        of H that training keeps. alpha: weight of C. temperature: of the softmax and of InfoNCE. cl_weight, reg_weight:
        of InfoNCE and of the norms."""

        factors: PositiveInt = 64
        n_ui_layers: PositiveInt = 2
        n_mm_layers: PositiveInt = 2
        n_hyper_layers: PositiveInt = 1
        hyper_num: PositiveInt = 4
        keep_rate: Annotated[float, Field(gt=0, le=1)] = 0.5
        alpha: NonNegativeFloat = 0.3
        temperature: PositiveFloat = 0.2
        cl_weight: NonNegativeFloat = 1e-4
        reg_weight: NonNegativeFloat = 1e-6

    def __init__(self, params: Params, data: TrainingData) -> None:
        super().__init__()
        self.params, self.data = params, data
        modalities, graph = data.take_modalities(params.wanted), InteractionGraph.of(data)
        self.adjacency, self.interactions = graph.adjacency(), graph.interactions()
        self.user_embeddings = xavier(data.n_users, params.factors)
        self.item_embeddings = item_weights(data, params.factors)
        self.projections = Projections(modalities, params.factors, bias=False)
        self.hyperedges = Projections(modalities, params.hyper_num, bias=False)
        for linear in [*self.projections.maps, *self.hyperedges.maps]:
            nn.init.xavier_uniform_(linear.weight)
        known = self.projections.known
        self.user_means = [normalised(self.interactions.scaled(columns=each.float()), "random_walk") for each in known]
        self.known = known_nodes(graph, known)
        having = [each.nonzero().flatten() for each in self.known.t()]
        self.everyone = [
            [each[each < data.n_users] for each in having],
            [each[each >= data.n_users] for each in having],
        ]
        self.dropout = nn.Dropout(1 - params.keep_rate)

    def sampler(self) -> EdgeTriples:
        return EdgeTriples(self.data)

    def behaviour(self) -> Tensor:
        """B (U + I, F)."""
        nodes = torch.cat([self.user_embeddings, self.item_embeddings])
        return mean_of_layers(self.adjacency, nodes, self.params.n_ui_layers)

    def local(self) -> list[Tensor]:
        """The G_m (U + I, F)."""
        found = []
        for items, means in zip(self.projections(), self.user_means, strict=True):
            nodes = torch.cat([means @ items, items])
            for _ in range(self.params.n_mm_layers):
                nodes = self.adjacency @ nodes
            found.append(nodes)
        return found

    def hypergraphs(self, behaviour: Tensor) -> list[Hypergraph]:
        """H_m and Y_m, of all U + I nodes."""
        found, n_users = [], self.data.n_users
        for items, known in zip(self.hyperedges(), self.known.t(), strict=True):
            scores = torch.cat([self.interactions @ items, items])
            if self.training:
                shares = gumbel_softmax(scores, self.params.temperature)
            else:
                shares = (scores / self.params.temperature).softmax(-1)
            shares = self.dropout(shares * known[:, None])
            edges = shares[n_users:].t() @ behaviour[n_users:]
            for _ in range(self.params.n_hyper_layers - 1):
                edges = shares[n_users:].t() @ (shares[n_users:] @ edges)
            found.append(Hypergraph(shares, edges))
        return found

    def joined(self, behaviour: Tensor, local: Sequence[Tensor], hypergraphs: Sequence[Hypergraph]) -> Tensor:
        """N (N, F), from the rows of nodes in its parts."""
        overall = torch.stack([each.vectors for each in hypergraphs]).sum(0)
        modal = torch.stack([normalize(each, dim=-1) for each in local]).sum(0)
        return behaviour + modal + self.params.alpha * normalize(overall, dim=-1)

    def vectors(self) -> tuple[Tensor, Tensor]:
        behaviour = self.behaviour()
        nodes = self.joined(behaviour, self.local(), self.hypergraphs(behaviour))
        return nodes[: self.data.n_users], nodes[self.data.n_users :]

    def loss(self, batch: Triples) -> Tensor:
        local, n_users = self.local(), self.data.n_users
        with torch.autocast(self.data.device.type, enabled=False):  # a hyperedge is a sum over all items
            behaviour = self.behaviour()
            hypergraphs = self.hypergraphs(behaviour)
            drawn = torch.cat([batch.users, batch.positives + n_users, batch.negatives + n_users])
            rows = embedding(drawn, behaviour), [embedding(drawn, each) for each in local]
            users, positives, negatives = self.joined(*rows, [each.at(drawn) for each in hypergraphs]).chunk(3)
            ranking = bpr_loss((users * positives).sum(-1), (users * negatives).sum(-1))
            norms = frobenius_norms(users, positives, negatives)
            total = ranking + self.params.reg_weight * norms
            for nodes, everyone in zip((drawn.chunk(3)[:2]), self.everyone, strict=True):
                total = total + self.params.cl_weight * self.contrast(hypergraphs, nodes, everyone)
            return total

    def contrast(self, hypergraphs: Sequence[Hypergraph], nodes: Tensor, everyone: Sequence[Tensor]) -> Tensor:
        """Sum over pairs of modalities and over nodes (B,), all users or all items, of InfoNCE among everyone who has
        the second modality."""
        total = nodes.new_zeros((), dtype=torch.float32)
        for one, other in combinations(range(len(hypergraphs)), 2):
            anchors, positives = hypergraphs[one].at(nodes).vectors, hypergraphs[other].at(nodes).vectors
            among = hypergraphs[other].at(everyone[other])
            terms = _info_nce(anchors, positives, among, self.params.temperature)
            total = total + terms.where(self.known[nodes, one] & self.known[nodes, other], 0).sum()
        return total


def _info_nce(anchors: Tensor, positives: Tensor, among: Hypergraph, temperature: float) -> Tensor:
    """The terms (B,) of InfoNCE between anchors and positives (B, F) among the vectors of a hypergraph's nodes.

    These are mixtures of Q vectors, so that a cosine takes Q products of numbers and not F.
    """
    anchors = normalize(anchors, dim=-1) / temperature
    lengths = torch.linalg.vector_norm(among.vectors, dim=1, keepdim=True).clamp(min=1e-12)
    alternatives = log_sum_exp_of_products(anchors @ among.edges.t(), among.shares / lengths)
    return alternatives - (anchors * normalize(positives, dim=-1)).sum(-1)
