"""An epoch of the contrastive alignment against one that asks a data set for every item singly: seconds.

    python performance/alignment.py [--items 8460] [--features 768] [--size 200] [--batch 32] [--threads N] [--rounds N]
                                    [--device cuda]

Target: at least 5 x faster. Both take the same steps from the same weights on the same batches, with Adam's decay on
all weights, and their losses are compared. So both multiply the same matrices and take Adam's steps: an epoch of
these alone is the third column, and the item by item epoch over it is what no loss can be faster than. Before the
first round each takes an epoch that is not counted.
"""

from __future__ import annotations

import argparse

import torch
from timing import best_seconds
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, SubsetRandomSampler

from benchmark.models.alignment import IGUI, AlignmentParams
from benchmark.models.alignment.contrastive import train
from workbench.console import show, table

SEED = 7


class Items(Dataset[tuple[Tensor, Tensor]]):
    """Two rows an item, each made when it is asked for."""

    def __init__(self, features: list[Tensor]) -> None:
        self.device = features[0].device
        self._features = [each.cpu().numpy().astype("float64") for each in features]

    def __len__(self) -> int:
        return len(self._features[0])

    def __getitem__(self, item: int) -> tuple[Tensor, Tensor]:
        first, second = (torch.tensor(each[item], dtype=torch.float32, device=self.device) for each in self._features)
        return first, second


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=8_460)
    parser.add_argument("--features", type=int, default=768)
    parser.add_argument("--size", type=int, default=200)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    generator = torch.Generator().manual_seed(0)
    shape = (arguments.items, arguments.features)
    features = [torch.randn(shape, generator=generator).to(arguments.device) for _ in range(2)]
    params = AlignmentParams(**{**IGUI, "epochs": 1, "batch_size": arguments.batch})
    losses: dict[str, float] = {}

    def ours() -> None:
        known = [torch.ones(arguments.items, dtype=torch.bool, device=arguments.device)] * 2
        losses["ours"] = train(features, known, arguments.size, params, SEED).losses.item()

    def item_by_item() -> None:
        losses["item by item"] = by_loader(Items(features), arguments.features, arguments.size, params)

    def without_loss() -> None:
        maps_alone(features, arguments.size, params)

    measured = {"ours": ours, "item by item": item_by_item, "no loss": without_loss}
    best = best_seconds(measured, arguments.rounds)
    show(
        f"{arguments.items:,} items x {arguments.features} features twice, d = {arguments.size}, batches of "
        f"{arguments.batch}, {arguments.threads} threads"
    )
    difference = abs(losses["ours"] - losses["item by item"])
    row = [
        *(f"{seconds:.2f}" for seconds in best.values()),
        f"{best['item by item'] / best['ours']:.1f}",
        f"{best['item by item'] / best['no loss']:.1f}",
        f"{difference:.1e}",
    ]
    columns = ["ours, s an epoch", "item by item, s", "maps and Adam alone, s", "ratio (>= 5)", "at most"]
    show(table([*columns, "difference of losses"], [row]))


def by_loader(items: Items, dim: int, size: int, params: AlignmentParams) -> float:
    """The mean loss of an epoch whose batches are put together from single items."""
    generator, device = torch.Generator().manual_seed(SEED), items.device
    layers = nn.ModuleList(nn.Linear(dim, size) for _ in range(2))
    with torch.no_grad():
        for weight in layers.parameters():
            weight.uniform_(-(dim**-0.5), dim**-0.5, generator=generator)
    layers, scale = layers.to(device), nn.Parameter(torch.tensor(params.log_scale, device=device))
    optimiser = torch.optim.Adam([scale, *layers.parameters()], params.lr, weight_decay=params.weight_decay)
    sampler = SubsetRandomSampler(range(len(items)), generator)
    total, n_batches = 0.0, 0
    for rows in DataLoader(items, params.batch_size, sampler=sampler):
        left, right = (nn.functional.normalize(layer(each)) for layer, each in zip(layers, rows, strict=True))
        scores = scale.exp() * right @ left.t()
        target = torch.arange(len(scores), device=device)
        loss = (nn.functional.cross_entropy(scores, target) + nn.functional.cross_entropy(scores.t(), target)) / 2
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        total, n_batches = total + loss.item(), n_batches + 1
    return total / n_batches


def maps_alone(features: list[Tensor], size: int, params: AlignmentParams) -> None:
    """An epoch whose loss is the sum of the mapped vectors."""
    maps = nn.ModuleList(nn.Linear(each.shape[1], size, device=each.device) for each in features)
    optimiser = torch.optim.Adam(maps.parameters(), params.lr, weight_decay=params.weight_decay, fused=True)
    for batch in torch.randperm(len(features[0])).to(features[0].device).split(params.batch_size):
        optimiser.zero_grad()
        torch.stack([layer(each[batch]).sum() for layer, each in zip(maps, features, strict=True)]).sum().backward()
        optimiser.step()


if __name__ == "__main__":
    main()
