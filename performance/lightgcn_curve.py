"""LightGCN on Gowalla beside a literal one with the same start and triples: loss and Recall@20 of every epoch.

    python performance/lightgcn_curve.py [FOLDER with train.txt and test.txt] [--epochs N] [--batch N] [--layers N]

The literal one multiplies with torch's sparse COO matrix of D^-1/2 A D^-1/2, keeps every layer, takes their mean,
writes the loss out, and ranks user by user. The curves should agree to rounding; the seconds of both are printed.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import torch
from torch import Tensor

from benchmark.data.dataset import Dataset, build_dataset
from benchmark.data.formats.layout import Layout
from benchmark.data.interactions import read_interactions
from benchmark.data.splitters import Parts
from benchmark.evaluation import Evaluator
from benchmark.models.base import TrainingData, device_data
from benchmark.models.samplers import Triples, UniformUserTriples
from benchmark.training.loop import Progress, fit
from external.models.light_gcn import LightGCN
from workbench.console import show, start_logging, table

GOWALLA = Path(__file__).parents[2] / "shared" / "data" / "gowalla-lightgcn"
FACTORS, LR, L_W = 64, 1e-3, 1e-4


def main() -> None:
    """Train both and print their curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=GOWALLA)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch", type=int, default=8192)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    start_logging()
    torch.set_num_threads(arguments.threads)
    parts = [
        read_interactions(arguments.folder / f"{name}.txt", layout=Layout(format="adjacency"))
        for name in ("train", "test")
    ]
    dataset = build_dataset(Parts(parts[0], None, parts[1]))
    data = device_data(dataset.n_users, dataset.n_items, dataset.train, [], torch.device("cpu"))
    params = LightGCN.Params(
        epochs=arguments.epochs, batch_size=arguments.batch, lr=LR, n_layers=arguments.layers, factors=FACTORS, l_w=L_W
    )
    ours, theirs = curve_of_the_model(params, data, dataset), literal_curve(params, data, dataset)
    rows = [
        [epoch, *(f"{value:.6f}" for value in (*mine[:2], *other[:2])), f"{mine[2]:.1f}", f"{other[2]:.1f}"]
        for epoch, (mine, other) in enumerate(zip(ours, theirs, strict=True), start=1)
    ]
    show(
        f"LightGCN, {len(data.items):,} triples an epoch, {params.n_layers} layers, "
        f"{FACTORS} factors, batch {params.batch_size}"
    )
    show(table(["epoch", "loss", "Recall@20", "literal loss", "literal Recall@20", "s", "literal s"], rows))


def curve_of_the_model(params: LightGCN.Params, data: TrainingData, dataset: Dataset) -> list[tuple[float, ...]]:
    """(loss, Recall@20, seconds) of every epoch by the bench."""
    judge = Evaluator(dataset.test, [dataset.train], data.n_items, len(dataset.item_ids), ["Recall"], [20], data.device)
    torch.manual_seed(params.seed)
    model = LightGCN(params, data)
    found: list[tuple[float, ...]] = []
    began = time.perf_counter()

    def note(progress: Progress) -> None:
        nonlocal began
        seconds = time.perf_counter() - began
        found.append((progress.loss, judge.means(model)["Recall@20"], seconds))
        began = time.perf_counter()

    fit(model, params, None, "", params.epochs, note)
    return found


def literal_curve(params: LightGCN.Params, data: TrainingData, dataset: Dataset) -> list[tuple[float, ...]]:
    """The same from the paper's formulas."""
    n_users, n_nodes = data.n_users, data.n_users + data.n_items
    users = torch.repeat_interleave(torch.arange(n_users), data.indptr.diff())
    rows, columns = torch.cat([users, data.items + n_users]), torch.cat([data.items + n_users, users])
    degrees = torch.bincount(rows, minlength=n_nodes).float()
    weights = 1 / torch.sqrt(degrees[rows] * degrees[columns])
    adjacency = torch.sparse_coo_tensor(torch.stack([rows, columns]), weights, (n_nodes, n_nodes)).coalesce()
    torch.manual_seed(params.seed)
    start = torch.nn.Parameter(0.1 * torch.randn(n_nodes, params.factors))
    optimiser = torch.optim.Adam([start], params.lr)
    generator, sampler = torch.Generator().manual_seed(params.seed), UniformUserTriples(data)

    def propagated() -> Tensor:
        layers = [start]
        for _ in range(params.n_layers):
            layers.append(torch.sparse.mm(adjacency, layers[-1]))
        return torch.stack(layers).mean(0)

    def loss(batch: Triples) -> Tensor:
        nodes = propagated()
        u, i, j = nodes[batch.users], nodes[n_users + batch.positives], nodes[n_users + batch.negatives]
        margin = (u * i).sum(1) - (u * j).sum(1)
        ego = (start[batch.users], start[n_users + batch.positives], start[n_users + batch.negatives])
        squares = sum((each**2).sum() for each in ego) / (2 * len(batch.users))
        return -torch.nn.functional.logsigmoid(margin).mean() + params.l_w * squares

    found = []
    for _ in range(params.epochs):
        began, losses = time.perf_counter(), []
        for batch in sampler.batches(params.batch_size, generator):
            optimiser.zero_grad()
            value = loss(batch)
            value.backward()
            optimiser.step()
            losses.append(value.item())
        seconds = time.perf_counter() - began
        with torch.no_grad():
            recall = literal_recall(propagated(), data, dataset)
        found.append((math.fsum(losses) / len(losses), recall, seconds))
    return found


def literal_recall(nodes: Tensor, data: TrainingData, dataset: Dataset) -> float:
    """Recall@20 user by user: training items are left out, equal scores rank as they come."""
    test, recalls = dataset.test, []
    for user in range(data.n_users):
        relevant = set(test.items[test.indptr[user] : test.indptr[user + 1]].tolist())
        if relevant:
            scores = nodes[data.n_users :] @ nodes[user]
            scores[data.items[data.indptr[user] : data.indptr[user + 1]]] = -torch.inf
            recalls.append(len(relevant & set(scores.topk(20).indices.tolist())) / len(relevant))
    return sum(recalls) / len(recalls)


if __name__ == "__main__":
    main()
