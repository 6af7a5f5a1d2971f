"""Training steps written flat: tensor work alone, in the fastest plain form that we know, to hold the models against.

A step is a function from weights, by the names that the model gives them, and a batch to the loss. Sparse products are
`embedding_bag` over a matrix whose transpose is there beforehand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from benchmark.models.graphs import SparseMatrix
from benchmark.models.samplers import Triples

Weights = dict[str, Tensor]
Step = Callable[[Weights, Triples], Tensor]
Arrays = tuple[Tensor, Tensor, Tensor]  # indptr, columns, values


def bprmf(model: Any) -> Step:
    l_w = model.params.l_w

    def step(weights: Weights, batch: Triples) -> Tensor:
        u = functional.embedding(batch.users, weights["user_factors"])
        p = functional.embedding(batch.positives, weights["item_factors"])
        n = functional.embedding(batch.negatives, weights["item_factors"])
        loss = functional.softplus((u * n).sum(-1) - (u * p).sum(-1)).mean()
        return loss + l_w / (2 * len(u)) * (u.square().sum() + p.square().sum() + n.square().sum())

    return step


def vbpr(model: Any) -> Step:
    l_w, features = model.params.l_w, model.projection.features

    def step(weights: Weights, batch: Triples) -> Tensor:
        u = functional.embedding(batch.users, weights["user_factors"])
        t = functional.embedding(batch.users, weights["user_tastes"])
        p = functional.embedding(batch.positives, weights["item_factors"])
        n = functional.embedding(batch.negatives, weights["item_factors"])
        items, places = torch.unique(torch.cat([batch.positives, batch.negatives]), return_inverse=True)
        views = functional.linear(features[items], weights["projection.weight"], weights["projection.bias"])
        pv, nv = functional.embedding(places, functional.normalize(views)).chunk(2)
        positive, negative = (u * p).sum(-1) + (t * pv).sum(-1), (u * n).sum(-1) + (t * nv).sum(-1)
        norms = sum(each.square().sum() for each in (u, p, n, t, pv, nv))
        return functional.softplus(negative - positive).mean() + l_w / (2 * len(u)) * norms

    return step


def light_gcn(model: Any) -> Step:
    l_w, n_layers, n_users = model.params.l_w, model.params.n_layers, model.data.n_users
    adjacency = arrays(model.adjacency)

    def step(weights: Weights, batch: Triples) -> Tensor:
        start = weights["embeddings"]
        total = layer = start
        for _ in range(n_layers):
            layer = _Product.apply(layer, adjacency, adjacency)  # symmetric
            total = total + layer
        nodes = torch.cat([batch.users, batch.positives + n_users, batch.negatives + n_users])
        u, p, n = functional.embedding(nodes, total / (n_layers + 1)).chunk(3)
        loss = functional.softplus((u * n).sum(-1) - (u * p).sum(-1)).mean()
        return loss + l_w / (2 * len(u)) * functional.embedding(nodes, start).square().sum()

    return step


def freedom(model: Any) -> Step:
    """For the edges that the model has sampled."""
    params, n_users = model.params, model.data.n_users
    adjacency = arrays(model.sampled.adjacency())
    items_forth, items_back = arrays(model.item_graph), arrays(_transposed(model.item_graph))
    features = [each.values for each in model.data.take_modalities(params.wanted).values()]

    def step(weights: Weights, batch: Triples) -> Tensor:
        total = layer = torch.cat([weights["user_factors"], weights["item_factors"]])
        for _ in range(params.n_ui_layers):
            layer = _Product.apply(layer, adjacency, adjacency)
            total = total + layer
        content = weights["item_factors"]
        for _ in range(params.n_layers):
            content = _Product.apply(content, items_forth, items_back)
        nodes = total / (params.n_ui_layers + 1)
        drawn = torch.cat([batch.positives, batch.negatives])
        u = functional.embedding(batch.users, nodes)
        p, n = functional.embedding(drawn, nodes[n_users:] + content).chunk(2)
        loss = functional.softplus((u * n).sum(-1) - (u * p).sum(-1)).mean()
        items, places = torch.unique(drawn, return_inverse=True)
        for place, values in enumerate(features):
            names = (f"projections.maps.{place}.{name}" for name in ("weight", "bias"))
            views = functional.linear(values[items], *(weights[name] for name in names))
            pv, nv = functional.embedding(places, views).chunk(2)
            loss = loss + params.l_w * functional.softplus((u * nv).sum(-1) - (u * pv).sum(-1)).mean()
        return loss

    return step


STEPS: dict[str, Callable[[Any], Step]] = {"BPRMF": bprmf, "VBPR": vbpr, "LightGCN": light_gcn, "FREEDOM": freedom}


def bare_loop(model: Any) -> Callable[[], list[float]]:
    """The bare loop over the batches that a fresh model's own training draws, drawn beforehand.

    It gives the losses of the epochs. The optimiser and the first weights are those of the model.
    """
    params = model.params
    start = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    generator, sampler = torch.Generator().manual_seed(params.seed), model.sampler()
    drawn = []
    for epoch in range(1, params.epochs + 1):
        model.on_epoch_start(epoch, generator)
        step = STEPS[type(model).__name__](model)
        drawn.append((step, list(sampler.batches(params.batch_size, generator))))

    def run() -> list[float]:
        weights = {name: weight.clone().requires_grad_() for name, weight in start.items()}
        optimiser = torch.optim.Adam(weights.values(), lr=params.lr, fused=True)
        losses = []
        for step, batches in drawn:
            total = torch.zeros(())
            for batch in batches:
                optimiser.zero_grad(set_to_none=True)
                loss = step(weights, batch)
                loss.backward()
                optimiser.step()
                total += loss.detach()
            losses.append(float(total) / len(batches))
        return losses

    return run


def arrays(matrix: SparseMatrix) -> Arrays:
    """What the bare product reads."""
    return matrix.pattern.indptr, matrix.pattern.columns, matrix.values


def _transposed(matrix: SparseMatrix) -> SparseMatrix:
    pattern, places = matrix.pattern.transposed
    return SparseMatrix(pattern, matrix.values[places])


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, dense: Tensor, forth: Arrays, back: Arrays) -> Tensor:
        ctx.back = back
        return _weighted_rows(dense.detach(), forth)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _weighted_rows(gradients[0], ctx.back), None, None


def _weighted_rows(dense: Tensor, matrix: Arrays) -> Tensor:
    indptr, columns, values = matrix
    return functional.embedding_bag(
        columns, dense, indptr, mode="sum", per_sample_weights=values, include_last_offset=True
    )
