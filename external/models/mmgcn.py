"""MMGCN: multi-modal graph convolution (Wei et al., MM 2019).

Every modality m has a graph of its own, with the same edges. Its nodes x start as trained preferences of the users and
as the features of the items, scaled to length 1, and for l = 1 .. L

    h = act( mean over neighbours of W1 x )        y = act(W2 x) + id        x <- act(W3 h + y)   or   act(W3 [h ; y])

act = LeakyReLU, id a trained vector of the node that all modalities share.

e = mean of x over the modalities        score(u, i) = e_u . e_i

loss = mean over (u, i, j) of -log sigmoid(score(u, i) - score(u, j))
       + l_w (mean of the squared entries of id_u, id_i, id_j + sum over m of that of the users' preferences)

A modality that an item lacks starts as zeros.

Departures from the paper: modalities are averaged as in published code, not added; layer 0 is scaled to length 1. From
published code: preferences and ids are trained (MMRec moved plain tensors), the preferences of every modality are
regularised (only the first one's were), scores are of the present weights (they were a step old).
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import AliasChoices, Field, NonNegativeFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from benchmark.models.base import DotProductRecommender, Features, MultimodalParams, TrainingData, TrainingParams
from benchmark.models.graphs import InteractionGraph
from benchmark.models.layers import node_weights, xavier
from benchmark.models.losses import bpr_loss, mean_squares
from benchmark.models.precision import single_or_more
from benchmark.models.samplers import EdgeTriples, Triples
from benchmark.models.spelling import Spelled, one_a_modality

Width = PositiveInt | None


class MMGCN(DotProductRecommender):
    """id: `ids` (U + I, F); `preferences`: one (U, D') a modality; `modal`: the other weights of each modality."""

    class Params(TrainingParams, MultimodalParams):
        """factors: F. n_layers: L. l_w: weight of the regulariser.

        factors_multimod: size to which features are mapped before the first layer, None to take them as they are; one
        for all modalities, or one for each, as in (256, None).
        aggregation: of messages of neighbours. concatenation: W3 [h ; y] for W3 h + y. has_id: whether id is added.
        """

        factors: PositiveInt = 64
        n_layers: PositiveInt = Field(default=3, validation_alias=AliasChoices("n_layers", "num_layers"))
        l_w: NonNegativeFloat = 1e-2
        factors_multimod: Annotated[Width | tuple[Width, ...], Spelled] = 256
        aggregation: Literal["mean", "add", "max"] = "mean"
        concatenation: bool = False
        has_id: bool = True

        def check_modalities(self, names: tuple[str, ...]) -> None:
            if isinstance(self.factors_multimod, tuple):
                one_a_modality(names, "factors_multimod", self.factors_multimod, "sizes")

    scores_new_items = True

    def __init__(self, params: Params, data: TrainingData) -> None:
        super().__init__()
        self.params, self.data = params, data
        modalities = data.take_modalities(params.wanted)
        params.check_modalities(tuple(modalities))
        given = params.factors_multimod
        sizes = given if isinstance(given, tuple) else (given,) * len(modalities)
        self.messages = _Aggregation(params.aggregation, data)
        self.ids = node_weights(data, params.factors) if params.has_id else None
        self.modal = nn.ModuleList(
            _Modality(params, features, size) for features, size in zip(modalities.values(), sizes, strict=True)
        )
        self.preferences = nn.ParameterList(
            xavier(data.n_users, size or features.values.shape[1])
            for features, size in zip(modalities.values(), sizes, strict=True)
        )

    def sampler(self) -> EdgeTriples:
        return EdgeTriples(self.data)

    def nodes(self) -> Tensor:
        """e (U + I, F)."""
        each = zip(self.modal, self.preferences, strict=True)
        return torch.stack([modal(preferences, self.ids, self.messages) for modal, preferences in each]).mean(dim=0)

    def vectors(self) -> tuple[Tensor, Tensor]:
        nodes = self.nodes()
        return nodes[: self.data.n_users], nodes[self.data.n_users :]

    def loss(self, batch: Triples) -> Tensor:
        drawn = torch.cat([batch.users, batch.positives + self.data.n_users, batch.negatives + self.data.n_users])
        users, positives, negatives = functional.embedding(drawn, self.nodes()).chunk(3)
        regularised = [functional.embedding(batch.users, each) for each in self.preferences]
        if self.ids is not None:
            regularised.append(functional.embedding(drawn, self.ids))
        ranking = bpr_loss((users * positives).sum(-1), (users * negatives).sum(-1))
        return ranking + self.params.l_w * mean_squares(*regularised)


class _Modality(nn.Module):
    """The map of the features to D', and W1, W2, W3 of every layer."""

    def __init__(self, params: MMGCN.Params, features: Features, size: int | None) -> None:
        super().__init__()
        self._values, self._known = features.values, features.known
        dimension, factors = features.values.shape[1], params.factors
        self.map = nn.Identity() if size is None else nn.Linear(dimension, size)
        inner = factors * (2 if params.concatenation else 1)
        widths = [size or dimension] + [factors] * (params.n_layers - 1)
        self.of_neighbours = nn.ModuleList(nn.Linear(width, factors, bias=False) for width in widths)
        self.of_itself = nn.ModuleList(nn.Linear(width, factors, bias=False) for width in widths)
        self.joint = nn.ModuleList(nn.Linear(inner, factors, bias=False) for _ in widths)
        self._concatenated = params.concatenation

    def forward(self, preferences: Tensor, ids: Tensor | None, messages: _Aggregation) -> Tensor:
        """x (U + I, F) after the last layer."""
        items = single_or_more(self.map(self._values)) * self._known[:, None]
        nodes = functional.normalize(torch.cat([preferences, items]))
        for first, second, third in zip(self.of_neighbours, self.of_itself, self.joint, strict=True):
            heard = functional.leaky_relu(messages(first(nodes)))
            own = functional.leaky_relu(second(nodes))
            if ids is not None:
                own = own + ids
            joined = third(torch.cat([heard, own], dim=1)) if self._concatenated else third(heard) + own
            nodes = functional.leaky_relu(joined)
        return nodes


class _Aggregation:
    """Mean, sum or maximum over neighbours; zeros for a node that has none."""

    def __init__(self, how: Literal["mean", "add", "max"], data: TrainingData) -> None:
        self._largest = how == "max"
        self._adjacency = InteractionGraph.of(data).adjacency("random_walk" if how == "mean" else None)

    def __call__(self, nodes: Tensor) -> Tensor:
        if not self._largest:
            return self._adjacency @ nodes
        pattern = self._adjacency.pattern
        return functional.embedding_bag(
            pattern.columns, single_or_more(nodes), pattern.indptr, mode="max", include_last_offset=True
        )
