"""BPRMF on a real split: our epoch against a bare loop over triples drawn beforehand.

    python performance/training.py [FOLDER with train.tsv, val.tsv, test.tsv] [--threads N]

The bare loop has the same optimiser, batches and loss, and neither samples nor reports. Target: at most 1.25 x.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from timing import best_seconds
from torch.nn import functional

from benchmark.data.dataset import build_dataset
from benchmark.data.interactions import read_interactions
from benchmark.data.splitters import Parts
from benchmark.models.base import TrainingData, device_data
from benchmark.models.samplers import UniformUserTriples
from benchmark.training.loop import fit
from external.models.bprmf import BPRMF
from workbench.console import show, start_logging, table

OFFICE = Path(__file__).parents[2] / "shared" / "data" / "amazon-office-ducho24"
EPOCHS, BATCH, FACTORS, LR, L_W = 20, 1024, 64, 5e-3, 1e-2


def main() -> None:
    """Measure with every number of threads and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=OFFICE)
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    start_logging()
    parts = Parts(*(read_interactions(arguments.folder / f"{name}.tsv") for name in ("train", "val", "test")))
    dataset = build_dataset(parts)
    data = device_data(dataset.n_users, dataset.n_items, dataset.train, [], torch.device("cpu"))
    rows = []
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        seconds = best_seconds({"ours": ours(data), "bare": bare(data)}, arguments.rounds)
        mine, theirs = (1000 * seconds[name] / EPOCHS for name in ("ours", "bare"))
        rows.append([threads, f"{mine:.1f}", f"{theirs:.1f}", f"{mine / theirs:.2f}", f"{200 * mine / 1000:.1f}"])
    show(f"BPRMF, {len(data.items):,} triples an epoch, batch {BATCH}, {FACTORS} factors")
    show(table(["threads", "ours, ms/epoch", "bare, ms/epoch", "ratio (<= 1.25)", "ours, s for 200 epochs"], rows))
    show("for orientation: the reference implementation takes 86 to 300 s for 200 epochs on two shared cores")


def ours(data: TrainingData) -> Callable[[], object]:
    """The product: sampling, training loop, reporting."""
    params = BPRMF.Params(epochs=EPOCHS, batch_size=BATCH, lr=LR, factors=FACTORS, l_w=L_W)

    def run() -> None:
        torch.manual_seed(0)
        fit(BPRMF(params, data), params, None, "", EPOCHS, lambda _: None)

    return run


def bare(data: TrainingData) -> Callable[[], object]:
    """Nothing but the arithmetic, in the fastest plain form that we know."""
    sampler, generator = UniformUserTriples(data), torch.Generator().manual_seed(0)
    epochs = [list(sampler.batches(BATCH, generator)) for _ in range(EPOCHS)]

    def run() -> None:
        torch.manual_seed(0)
        users = torch.nn.init.xavier_uniform_(torch.empty(data.n_users, FACTORS)).requires_grad_()
        items = torch.nn.init.xavier_uniform_(torch.empty(data.n_items, FACTORS)).requires_grad_()
        optimiser = torch.optim.Adam([users, items], lr=LR, fused=True)
        for batches in epochs:
            for user, positive, negative in batches:
                optimiser.zero_grad(set_to_none=True)
                u = functional.embedding(user, users)
                p, n = functional.embedding(positive, items), functional.embedding(negative, items)
                loss = functional.softplus((u * n).sum(-1) - (u * p).sum(-1)).mean()
                loss = loss + L_W / (2 * len(user)) * (u.square().sum() + p.square().sum() + n.square().sum())
                loss.backward()
                optimiser.step()

    return run


if __name__ == "__main__":
    main()
