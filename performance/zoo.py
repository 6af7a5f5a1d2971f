"""Models on real catalogues: training against bare steps, and seconds an epoch and an evaluation.

    python performance/zoo.py [bare] [epochs] [evaluation] [--office FOLDER] [--baby FOLDER] [--tiktok FOLDER]
                              [--models NAME ...] [--threads 1 2] [--rounds N]

bare        whole epochs of ours (sampling, loop, reporting) against the same steps written flat (`bare.py`) over
            triples drawn beforehand. Both start from the same weights and must come to the same losses. Target: 1.3 x.
epochs      seconds an epoch, the best of the rounds, beside what other systems were seen to take on two such cores.
evaluation  the test part of Baby: one propagation of LightGCN, the top 50 of all users, four metrics at four cutoffs.

Without names, all of them. 64 factors. The folders hold MMRec's `*.inter` and `*_feat.npy`.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import torch
from bare import STEPS, bare_loop
from catalogues import BABY, OFFICE, TIKTOK, Catalogue, read_catalogue
from timing import best_seconds

from benchmark.evaluation import Evaluator
from benchmark.models.base import TrainingData
from benchmark.models.registry import find_model
from benchmark.training.loop import Progress, fit
from workbench.console import show, start_logging, table
from workbench.runtime import seed_everything

FACTORS, LR, SEED = 64, 1e-3, 1


class Measured(NamedTuple):
    """epochs : of a round; others : seconds an epoch of other systems."""

    model: str
    data: str
    batch_size: int
    epochs: int
    others: str


MEASURED = [
    Measured("BPRMF", "office", 1024, 20, ""),
    Measured("BPRMF", "baby", 2048, 8, ""),
    Measured("LightGCN", "baby", 2048, 2, "3.4 MMRec, 4.4 WarpRec, 4.7 RecBole"),
    Measured("VBPR", "tiktok", 2048, 4, "0.46 MMRec, 1.4 WarpRec"),
    Measured("FREEDOM", "tiktok", 2048, 2, "0.94 MMRec, 1.8 WarpRec"),
    Measured("BM3", "tiktok", 2048, 2, "1.4 MMRec"),
    Measured("LATTICE", "tiktok", 2048, 2, "46 MMRec (asked: under 3)"),
]
METRICS, CUTOFFS = ["Recall", "nDCG", "Precision", "MAP"], [5, 10, 20, 50]
EVALUATIONS = "0.84 RecBole, 1.25 WarpRec, 2.3 MMRec"


def main() -> None:
    """Measure what is asked for and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *MEASUREMENTS], metavar="NAME")
    parser.add_argument("--office", type=Path, default=OFFICE)
    parser.add_argument("--baby", type=Path, default=BABY)
    parser.add_argument("--tiktok", type=Path, default=TIKTOK)
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", nargs="*", help="some of them only")
    arguments = parser.parse_args()
    start_logging()
    catalogues = {name: read_catalogue(getattr(arguments, name)) for name in ("office", "baby", "tiktok")}
    for name in arguments.names or MEASUREMENTS:
        MEASUREMENTS[name](catalogues, arguments)


def against_bare(catalogues: dict[str, Catalogue], arguments: argparse.Namespace) -> None:
    """Ratios of whole epochs."""
    rows = []
    for measured in _chosen(arguments):
        if measured.model not in STEPS:
            continue
        data, epochs = catalogues[measured.data].data, measured.epochs
        ours = partial(train, measured, data)
        for threads in arguments.threads:
            torch.set_num_threads(threads)
            bare = bare_loop(build(measured, data))
            _check(measured.model, ours(), bare())
            seconds = best_seconds({"ours": ours, "bare": bare}, arguments.rounds)
            mine, theirs = (1000 * seconds[each] / epochs for each in ("ours", "bare"))
            cells = [f"{mine:.1f}", f"{theirs:.1f}", f"{mine / theirs:.2f}"]
            rows.append([measured.model, measured.data, measured.batch_size, threads, *cells])
    show(table(["model", "data", "batch", "threads", "ours, ms/epoch", "bare, ms/epoch", "ratio (<= 1.3)"], rows))


def epoch_seconds(catalogues: dict[str, Catalogue], arguments: argparse.Namespace) -> None:
    """Seconds an epoch with each number of threads."""
    rows = []
    for measured in _chosen(arguments):
        data, taken = catalogues[measured.data].data, []
        for threads in arguments.threads:
            torch.set_num_threads(threads)
            taken.append(best_epoch(measured._replace(epochs=1 + arguments.rounds), data))
        rate = f"{len(data.items) / min(taken):,.0f}"
        rows.append([*measured[:3], *(f"{each:.3f}" for each in taken), rate, measured.others])
    seconds = [f"s/epoch, {each} threads" for each in arguments.threads]
    show(table(["model", "data", "batch", *seconds, "samples/s", "others, s/epoch"], rows, left=["others, s/epoch"]))


def evaluation(catalogues: dict[str, Catalogue], arguments: argparse.Namespace) -> None:
    """Seconds of judging the test part of Baby."""
    catalogue = catalogues["baby"]
    n_items = catalogue.data.n_items
    masked = [catalogue.train, catalogue.validation]
    judge = Evaluator(catalogue.test, masked, n_items, n_items, METRICS, CUTOFFS, torch.device("cpu"))
    model = build(Measured("LightGCN", "baby", 2048, 1, ""), catalogue.data)
    rows = []
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        seconds = best_seconds({"ours": lambda: judge.means(model)}, arguments.rounds)["ours"]
        rows.append([threads, f"{seconds:.3f}", EVALUATIONS])
    show(table(["threads", "test evaluation of Baby, s", "others"], rows, left=["others"]))


def build(measured: Measured, data: TrainingData) -> Any:
    """A model with fresh weights, at its published settings otherwise."""
    model = find_model(measured.model)
    seed_everything(SEED)
    settings = {
        "epochs": measured.epochs,
        "batch_size": measured.batch_size,
        "lr": LR,
        "factors": FACTORS,
        "seed": SEED,
    }
    return model(model.Params(**settings), data)


def train(measured: Measured, data: TrainingData, report: Callable[[Progress], None] = lambda _: None) -> list[float]:
    """The product: sampling, training loop, reporting; the losses of the epochs."""
    model = build(measured, data)
    return fit(model, model.params, None, "", measured.epochs, report).losses


def best_epoch(measured: Measured, data: TrainingData) -> float:
    """Seconds of the fastest epoch after the first."""
    moments: list[float] = []
    train(measured, data, lambda _: moments.append(time.perf_counter()))
    return min(after - before for before, after in pairwise(moments))


def _chosen(arguments: argparse.Namespace) -> list[Measured]:
    return [each for each in MEASURED if arguments.models is None or each.model in arguments.models]


def _check(name: str, ours: list[float], bare: list[float]) -> None:
    for mine, theirs in zip(ours, bare, strict=True):
        if not math.isclose(mine, theirs, rel_tol=1e-3):
            sys.exit(f"{name} and its bare steps do not compute the same: losses {ours} and {bare}")


MEASUREMENTS: dict[str, Callable[[dict[str, Catalogue], argparse.Namespace], None]] = {
    "bare": against_bare,
    "epochs": epoch_seconds,
    "evaluation": evaluation,
}


if __name__ == "__main__":
    main()
