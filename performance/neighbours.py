"""The neighbour graph of one modality against the bare blocked product: seconds and memory.

    python performance/neighbours.py [--items 63001] [--features 4096] [--k 10] [--threads N] [--rounds N]

Targets: at most 1.3 x the time of the products of the same blocks, thrown away; memory that grows by less than 1.5 GB,
the features (1.03 GB) counted. Each is a process of its own, and they take turns. The product of 63,001 x 4,096 costs
32 TFLOP, some minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

import torch

from benchmark.models.base import Features, TrainingData
from benchmark.models.graphs import neighbour_graph, neighbours
from workbench.console import show, table

CONTESTANTS = ("ours", "bare")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=63_001)
    parser.add_argument("--features", type=int, default=4_096)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--measure", choices=CONTESTANTS, help=argparse.SUPPRESS)  # for the processes
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, arguments.items, arguments.features, arguments.k)))
        return
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in CONTESTANTS}
    for _ in range(arguments.rounds):
        for name in CONTESTANTS:
            found[name].append(_in_a_process(name, arguments))
    best = {name: min(seconds for seconds, _ in each) for name, each in found.items()}
    grown = max(grown for _, grown in found["ours"])
    operations = 2 * arguments.items**2 * arguments.features
    show(f"{arguments.items:,} items x {arguments.features:,} features, k = {arguments.k}, {arguments.threads} threads")
    row = [
        f"{best['ours']:.1f}",
        f"{best['bare']:.1f}",
        f"{best['ours'] / best['bare']:.2f}",
        f"{operations / best['bare'] / 1e9:.0f}",
        f"{grown / 1e9:.2f}",
    ]
    headers = ["ours, s", "bare, s", "ratio (<= 1.3)", "bare, GFLOP/s", "memory grew by, GB (< 1.5)"]
    show(table(headers, [row]))


def measure(name: str, n_items: int, dim: int, k: int) -> tuple[float, float]:
    """Seconds, and by how many bytes the resident memory grew at its highest, the features counted."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    values = torch.randn(n_items, dim, generator=torch.Generator().manual_seed(0))
    data = TrainingData(
        1,
        n_items,
        torch.tensor([0, 1]),
        torch.tensor([0]),
        {"any": Features(values, torch.ones(n_items, dtype=torch.bool))},
    )
    started = time.perf_counter()
    if name == "ours":
        neighbour_graph(data, data.features["any"], k, "binary")
    else:
        for rows in values.split(max(1, neighbours._BLOCK_BYTES // (4 * n_items))):
            rows @ values.t()
    seconds = time.perf_counter() - started
    return seconds, 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)


def _in_a_process(name: str, arguments: argparse.Namespace) -> tuple[float, float]:
    options = ("items", "features", "k", "threads")
    words = [word for option in options for word in (f"--{option}", str(getattr(arguments, option)))]
    command = [sys.executable, __file__, *words, "--measure", name]
    seconds, grown = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    return seconds, grown


if __name__ == "__main__":
    main()
