"""What graph models draw anew each epoch or step: parts of the graph, silent nodes, noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from literal_graphs import adjacency, edges_in, edges_of
from zoo_cases import Case, drawn, fresh, scores

from benchmark.models.registry import find_model

CASE = drawn(40, 30, 500, {})


def make(name: str, case: Case = CASE, **params: Any) -> Any:
    return fresh(find_model(name), case, {"seed": 1, "factors": 4, **params}).train()


def start(model: Any, epoch: int = 1, seed: int = 0) -> Any:
    model.on_epoch_start(epoch, torch.Generator().manual_seed(seed))
    return model


def sgl_edges(model: Any) -> list[list[set[tuple[int, int]]]]:
    """Edges of every layer of both views."""
    return [[set(edges_in(matrix, CASE)) for matrix in view] for view in model.views]


@pytest.mark.parametrize("sampling", ["nd", "ed", "rw"])
def test_the_views_of_sgl_are_drawn_anew_for_each_other_and_each_epoch(sampling: str) -> None:
    model = make("SGL", sampling=sampling, ssl_ratio=0.4, n_layers=3)
    first, again, second = (sgl_edges(start(model, 1, seed)) for seed in (0, 0, 1))
    assert first == again != second
    assert first[0] != first[1]
    layers = [frozenset(layer) for layer in first[0]]
    assert len(set(layers)) == (3 if sampling == "rw" else 1)


@pytest.mark.parametrize(("sampling", "share"), [("ed", 0.6), ("rw", 0.6), ("nd", 0.36)])
def test_the_views_of_sgl_go_without_that_share_of_edges(sampling: str, share: float) -> None:
    model, total = make("SGL", sampling=sampling, ssl_ratio=0.4, n_layers=1), len(edges_of(CASE))
    kept = [len(view[0]) / total for seed in range(30) for view in sgl_edges(start(model, 1, seed))]
    assert np.mean(kept) == pytest.approx(share, abs=0.03)


def test_a_node_that_sgl_leaves_out_has_no_edges_and_the_others_have_all_among_them() -> None:
    kept = sgl_edges(start(make("SGL", sampling="nd", ssl_ratio=0.3)))[0][0]
    users, items = {user for user, _ in kept}, {item for _, item in kept}
    assert kept == {(user, item) for user, item in edges_of(CASE) if user in users and item in items}
    assert len(users) < CASE.n_users


def test_layer_gcn_prunes_by_degree_and_uniformly_in_turn() -> None:
    model, edges = make("LayerGCN", drop=0.5), edges_of(CASE)
    degrees = np.array([CASE.interactions[u].sum() * CASE.interactions[:, i].sum() for u, i in edges])
    kept = {0: np.zeros(len(edges)), 1: np.zeros(len(edges))}
    for epoch in range(1, 401):
        found = set(edges_in(start(model, epoch, epoch).pruned, CASE))
        assert len(found) == round(len(edges) / 2)
        kept[epoch % 2] += [edge in found for edge in edges]
    assert np.corrcoef(kept[1], degrees**-0.5)[0, 1] > 0.8
    assert abs(np.corrcoef(kept[0], degrees**-0.5)[0, 1]) < 0.2


def test_layer_gcn_scores_with_all_edges() -> None:
    model = make("LayerGCN", drop=0.5)
    before = scores(model, CASE)
    assert torch.equal(scores(start(model.train()), CASE), before)
    assert edges_in(start(make("LayerGCN", drop=0.0)).pruned, CASE) == edges_of(CASE)


@pytest.mark.parametrize("name", ["NGCF", "NGCFM"])
def test_ngcf_silences_other_nodes_in_every_layer_and_scores_with_all(name: str) -> None:
    case = drawn(300, 200, 900, {"visual": 3})
    model = make(name, case, node_dropout=0.25, message_dropout=0.0, n_layers=2)
    before = scores(model, case)
    sending = start(model.train()).propagation.sending
    assert sorted(sending.unique().tolist()) == pytest.approx([0, 1 / 0.75])
    assert (sending == 0).double().mean() == pytest.approx(0.25, abs=0.05)
    assert not torch.equal(sending[0], sending[1])
    assert torch.equal(scores(model, case), before)


def test_the_noise_of_simgcl_has_length_eps_and_the_signs_of_what_it_is_added_to() -> None:
    model = make("SimGCL", eps=0.3, n_layers=1)
    [layer] = model.propagated()
    noise = model.deviation([layer])
    linked = torch.from_numpy(adjacency(CASE).any(axis=0))
    torch.testing.assert_close(noise[linked].norm(dim=1), torch.full((int(linked.sum()),), 0.3))
    assert ((noise * layer)[linked] >= 0).all()
    assert not torch.equal(model.deviation([layer]), noise)


def test_the_gradient_of_simgcl_is_that_of_three_propagations() -> None:
    """It is computed by one (the noise is constant); here by all three, through dense products."""
    model = make("SimGCL", eps=0.3, n_layers=3, reg_cl=0.7, l_w=0.0)
    graph = torch.from_numpy(adjacency(CASE)).float()
    batch = next(model.sampler().batches(50, torch.Generator().manual_seed(0)))
    torch.manual_seed(3)
    model.loss(batch).backward()

    torch.manual_seed(3)
    start = model.embeddings.detach().clone().requires_grad_()
    clean, one, other = (propagated(graph, start, 3, eps) for eps in (0.0, 0.3, 0.3))
    users, liked, others = clean[batch.users], clean[40 + batch.positives], clean[40 + batch.negatives]
    loss = -torch.nn.functional.logsigmoid((users * (liked - others)).sum(-1)).mean()
    for nodes in (torch.unique(batch.users), torch.unique(40 + batch.positives)):
        left, right = (torch.nn.functional.normalize(view[nodes]) for view in (one, other))
        loss = loss + 0.7 * torch.nn.functional.cross_entropy(left @ right.t() / 0.2, torch.arange(len(nodes)))
    loss.backward()
    torch.testing.assert_close(model.embeddings.grad, start.grad, atol=1e-6, rtol=1e-4)


def propagated(graph: torch.Tensor, nodes: torch.Tensor, n_layers: int, eps: float) -> torch.Tensor:
    layers = [nodes]
    for _ in range(n_layers):
        layer = graph @ layers[-1]
        if eps:
            layer = layer + eps * layer.sign() * torch.nn.functional.normalize(torch.rand_like(layer))
        layers.append(layer)
    return torch.stack(layers[1:]).mean(0)
