"""AlignMacridVAE against the dense form of its reference: a training step's seconds and memory; and evaluation at size.

    python performance/macrid.py [step] [evaluation] [--threads N] [--steps N] [--users N]

step        M = 8,460 items with two modalities, 5,422 users with 4.7 items each, K = 7, d = 200, batches of 100, the
            recipe `igui`. The dense form has rows of 2 M numbers, copies them for every concept, and holds all
            exponentials. Both take the same weights, batches and draws, and end in the same fused Adam; they must agree
            in the loss (1e-5) and in every gradient (1e-4). Targets: at least 2 x faster, at most a quarter of the
            memory held at once, beside weights, one gradient of each and Adam's moments.
evaluation  ML-20M's shapes: 136,677 users x 20,108 items, 9,990,682 interactions, one vector an item, lists of 100.
            Target: memory that grows by less than 2 GB. `--users` judges fewer.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.profiler import profile
from torch.nn import functional

from benchmark.data.dataset import Csr
from benchmark.evaluation import Evaluator
from benchmark.models.base import Features, TrainingData
from benchmark.models.graphs.sparse import Pattern
from benchmark.models.registry import find_model
from benchmark.training.optimisers import build_optimiser
from workbench.console import show, table

N_ITEMS, N_USERS, N_INTERACTIONS, DIM = 8_460, 5_422, 25_628, 768
BATCH = 100
ML_20M = 136_677, 20_108, 9_990_682


def main() -> None:
    """Measure what is asked for and print tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *MEASUREMENTS], metavar="NAME")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--users", type=int, default=ML_20M[0])
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for name in arguments.names or MEASUREMENTS:
        MEASUREMENTS[name](arguments)


def step(arguments: argparse.Namespace) -> None:
    """A training step of ours against the dense one."""
    data = random_data(N_USERS, N_ITEMS, N_INTERACTIONS)
    model: Any = find_model("AlignMacridVAE")
    params = model.Params(recipe="igui", alignment="pca", batch_size=BATCH)
    torch.manual_seed(0)
    made = model(params, data)
    batches = list(made.sampler().batches(BATCH, torch.Generator().manual_seed(0)))[: arguments.steps + 1]
    forms: dict[str, Callable[[Pattern], Tensor]] = {
        "ours": made.loss,
        "dense": lambda batch: dense_loss(made, batch),
    }
    _agree(made, batches[0], forms)
    optimiser = build_optimiser(params, made)
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    for batch in batches:  # the first warms up
        for name, loss in forms.items():
            started = time.perf_counter()
            optimiser.zero_grad(set_to_none=True)
            loss(batch).backward()
            optimiser.step()
            seconds[name].append(time.perf_counter() - started)
    best = {name: min(each[1:]) for name, each in seconds.items()}
    held = {name: _held(made, batches[0], loss) for name, loss in forms.items()}
    show(f"a step, {arguments.threads} threads; loss and gradients agree")
    rows = [
        [name, f"{best[name]:.3f}", f"{best['dense'] / best[name]:.2f}", f"{held[name] / 2**20:,.0f}",
         f"{held[name] / held['dense']:.3f}"]
        for name in forms
    ]  # fmt: skip
    show(table(["form", "s", "x faster (>= 2)", "MB held at once", "share (<= .25)"], rows))


def dense_loss(model: Any, batch: Pattern) -> Tensor:
    """The loss of `model` (recipe igui) as the reference computes it: everything dense."""
    params, n_items = model.params, batch.shape[1]
    rows = torch.zeros(batch.shape).index_put((batch.rows, batch.columns), torch.ones(len(batch.columns)))
    items = functional.normalize(model.table())
    concepts = torch.softmax(items @ functional.normalize(model.cores).t() / params.tau, dim=1)
    drawn = functional.dropout(torch.ones(len(batch.columns)), params.dropout)
    dropped = torch.zeros(batch.shape).index_put((batch.rows, batch.columns), drawn)
    masked = (dropped[None] * concepts.t()[:, None]).reshape(-1, n_items)
    hidden = torch.tanh(masked @ model.first + model.first_bias)
    means, log_variances = model.second(hidden).chunk(2, dim=1)
    noise = torch.randn(params.kfac, batch.shape[0], params.dfac).view_as(means)
    queries = functional.normalize(means + (log_variances / 2).exp() * noise)
    exponentials = (queries @ items.t() / params.tau).exp().view(params.kfac, -1, n_items)
    scores = (exponentials * concepts.t()[:, None]).sum(dim=0).log()
    likelihood = (functional.log_softmax(scores, dim=1) * rows).sum(dim=1).mean() / 2  # of an item's two parts
    divergence = (log_variances.exp() + means.square() - 1 - log_variances).sum(dim=1).mean() / 2
    return model.annealing() * divergence - likelihood


def _agree(model: Any, batch: Pattern, forms: dict[str, Callable[[Pattern], Tensor]]) -> None:
    """Raise unless the forms give the same loss and gradients under the same draws."""
    losses, gradients = {}, {}
    for name, loss in forms.items():
        model.annealing.updates.fill_(1_000)
        model.zero_grad(set_to_none=True)
        torch.manual_seed(1)
        found = loss(batch)
        found.backward()
        losses[name], gradients[name] = found.item(), [weight.grad.clone() for weight in model.parameters()]
    assert abs(losses["ours"] - losses["dense"]) < 1e-5 * abs(losses["dense"]), losses
    for (name, _), one, other in zip(model.named_parameters(), gradients["ours"], gradients["dense"], strict=True):
        assert (one - other).abs().max() < 1e-4, (name, (one - other).abs().max())


def _held(model: Any, batch: Pattern, loss: Callable[[Pattern], Tensor]) -> int:
    """Bytes that torch holds at most at once in a forward and a backward pass, less those of one gradient a weight,
    which is there in every form."""
    model.zero_grad(set_to_none=True)
    with profile(profile_memory=True) as profiled:
        loss(batch).backward()
    events = sorted(profiled.kineto_results.events(), key=lambda event: event.start_ns())
    sizes = [event.nbytes() for event in events if event.name() == "[memory]"]
    return max(accumulate(sizes)) - sum(weight.nbytes for weight in model.parameters())


def evaluation(arguments: argparse.Namespace) -> None:
    """Lists of 100 for ML-20M's users."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    data = random_data(*ML_20M, features=False)
    indptr, items = data.indptr.numpy(), data.items.numpy()
    train = Csr.build(np.repeat(np.arange(data.n_users), np.diff(indptr)), items, np.ones(len(items)), data.n_users)
    judged = np.arange(min(arguments.users, data.n_users))
    found = Csr.build(judged, judged % data.n_items, np.ones(len(judged)), data.n_users)
    rows = []
    for name in ("MultiVAE", "MacridVAE"):
        model: Any = find_model(name)
        made = model(model.Params(), data)
        evaluator = Evaluator(found, [train], data.n_items, data.n_items, ["nDCG_binary"], [100], torch.device("cpu"))
        started = time.perf_counter()
        evaluator.means(made)
        seconds = time.perf_counter() - started
        grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        rows.append([name, f"{len(judged):,}", f"{seconds:.1f}", f"{grown / 1e9:.2f}"])
    show(f"evaluation, {data.n_items:,} items, {arguments.threads} threads")
    show(table(["model", "users", "s", "memory grew by, GB (< 2)"], rows))


def random_data(n_users: int, n_items: int, n_interactions: int, features: bool = True) -> TrainingData:
    """Interactions and two modalities drawn at random; everybody has an item."""
    rng = np.random.default_rng(0)
    pairs = rng.integers(0, n_users * n_items, n_interactions - n_users)
    pairs = np.unique(np.concatenate([pairs, np.arange(n_users) * n_items + rng.integers(0, n_items, n_users)]))
    indptr = np.searchsorted(pairs, np.arange(n_users + 1) * n_items)
    values = torch.Generator().manual_seed(0)
    known = torch.ones(n_items, dtype=torch.bool)
    views = {
        name: Features(torch.randn(n_items, DIM, generator=values), known) for name in ("visual", "textual") if features
    }
    return TrainingData(n_users, n_items, torch.from_numpy(indptr), torch.from_numpy(pairs % n_items), views)


MEASUREMENTS = {"step": step, "evaluation": evaluation}


if __name__ == "__main__":
    main()
