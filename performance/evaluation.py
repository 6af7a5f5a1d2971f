"""Full-ranking evaluation against the bare blocked `matmul + topk`, and against a loop over users.

    python performance/evaluation.py [--users N] [--items N] [--rounds N]

29,858 users x 40,981 items (the size of Gowalla), 64 factors, ten metrics at the cutoffs 5, 10 and 20, training items
masked, in blocks below 1 GB. Target: at most 1.3 x the bare product and selection of 20. The loop judges a share of the
users, over the same scores, and must give the same values.
"""

from __future__ import annotations

import argparse
import math
import resource
import time

import numpy as np
import torch
from timing import best_seconds

from benchmark.data.dataset import Csr
from benchmark.evaluation import Catalogue, Evaluator
from benchmark.evaluation.ranking import BLOCK_BYTES
from benchmark.models.base import Recommender, Scorer, dot_product_scorer
from workbench.console import show, table

FACTORS, CUTOFFS, K = 64, [5, 10, 20], 20
METRICS = ["Recall", "Precision", "nDCG", "HR", "nDCG_binary", "MRR", "MAP_standard", "ItemCoverage", "Gini", "EPC"]
CHECKED = METRICS[:4]
LOOPED = 200
TRAIN_ROWS, TEST_ROWS = 27, 7  # a user


class Vectors(Recommender):
    """Fixed user and item vectors."""

    def __init__(self, users: torch.Tensor, items: torch.Tensor) -> None:
        super().__init__()
        self.users, self.items = users, items

    def scorer(self) -> Scorer:
        return dot_product_scorer(self.users, self.items)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=29_858)
    parser.add_argument("--items", type=int, default=40_981)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    n_users, n_items = arguments.users, arguments.items
    generator = np.random.default_rng(0)
    train, test = (_rows(generator, n_users, n_items, each) for each in (TRAIN_ROWS, TEST_ROWS))
    torch.manual_seed(0)
    model = Vectors(torch.randn(n_users, FACTORS), torch.randn(n_items, FACTORS))
    device = torch.device("cpu")
    catalogue = Catalogue.build(train, n_items, device)
    judge = Evaluator(test, [train], n_items, n_items, METRICS, CUTOFFS, device, catalogue=catalogue)
    block = max(1, BLOCK_BYTES // (4 * n_items))

    def bare() -> None:
        transposed = model.items.t().contiguous()
        for users in torch.arange(n_users).split(block):
            torch.topk(model.users[users] @ transposed, K)

    with torch.inference_mode():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        contestants = {"ours": lambda: judge.measure(judge.rank(model)), "bare": bare}
        seconds = best_seconds(contestants, arguments.rounds)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        started = time.perf_counter()
        looped = min(LOOPED, n_users)
        slow = _loop(model, train, test, looped)
        loop = (time.perf_counter() - started) * n_users / looped
        ranking = judge.rank(model)
        started = time.perf_counter()
        values = judge.measure(ranking).per_user
        share = (time.perf_counter() - started) / seconds["ours"]
        fast = {name: values[f"{name}@{K}"][:looped].numpy() for name in CHECKED}
    for name, expected in slow.items():
        np.testing.assert_allclose(fast[name], expected, atol=1e-12)
    ratio = seconds["ours"] / seconds["bare"]
    show(f"{n_users:,} users x {n_items:,} items, {FACTORS} factors, top {K}, blocks of {block} users")
    show(f"{len(METRICS)} metrics at {len(CUTOFFS)} cutoffs take {share:.1%} of the time of ours")
    row = [f"{seconds['ours']:.2f}", f"{seconds['bare']:.2f}", f"{ratio:.2f}", f"{loop:.1f}", f"{grown:.0f}"]
    show(table(["ours, s", "bare, s", "ratio (<= 1.3)", "loop over users, s", "peak memory grew by, MB"], [row]))
    show(f"the loop judged {looped} users (its time is scaled up) and found the same values")


def _rows(generator: np.random.Generator, n_users: int, n_items: int, each: int) -> Csr:
    users = np.repeat(np.arange(n_users), each)
    keys = np.unique(users * n_items + generator.integers(0, n_items, len(users)))
    return Csr.build(keys // n_items, keys % n_items, generator.integers(1, 6, len(keys)).astype(float), n_users)


def _loop(model: Vectors, train: Csr, test: Csr, n_users: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in CHECKED}
    for user in range(n_users):
        scores = (model.users[user] @ model.items.t()).numpy().copy()
        scores[train.items[train.indptr[user] : train.indptr[user + 1]]] = -np.inf
        held = slice(test.indptr[user], test.indptr[user + 1])
        gains = {
            item: 2.0 ** (rating + 1) - 1 for item, rating in zip(test.items[held], test.values[held], strict=True)
        }
        listed = np.argsort(-scores, kind="stable")[:K]
        dcg = sum(gains.get(item, 0.0) / math.log2(place + 2) for place, item in enumerate(listed))
        best = sorted(gains.values(), reverse=True)[:K]
        ideal = sum(gain / math.log2(place + 2) for place, gain in enumerate(best))
        hits = sum(item in gains for item in listed)
        for name, value in zip(CHECKED, (hits / len(gains), hits / K, dcg / ideal, float(hits > 0)), strict=True):
            found[name].append(value)
    return found


if __name__ == "__main__":
    main()
