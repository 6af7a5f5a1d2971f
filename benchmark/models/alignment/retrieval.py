"""How well modalities were aligned: is an item's vector of one modality found by that of another?"""

from __future__ import annotations

from itertools import permutations

import torch
from torch import Tensor
from torch.nn import functional

DEPTHS = (1, 5)
_MOST_ITEMS, _SAMPLE_SEED = 10_000, 0
_BLOCK_PRODUCTS = 1 << 22


def retrieval(vectors: Tensor, known: Tensor) -> Tensor:
    """Share of items whose other vector is among the 1 or 5 with the largest cosine; of every ordered pair.

    Of the items that have both modalities of a pair all are asked for, among all; where there are more than 10,000 of
    them, a sample of 10,000, always the same. Vectors that are equally near share the places: it does not help to give
    all items one vector, and it does not hurt that two products are one. The items are those that were aligned: it is a
    measure of fit, not of what new items would get.

    Parameters
    ----------
    vectors : (R, I, d); known : (R, I) bool.

    Returns
    -------
    Tensor : (R (R - 1), 2) float32; the pairs (0, 1), (0, 2), .., (1, 0), ..; NaN of a pair that no item has.
    """
    found = [
        _hits(vectors[one], vectors[other], known[one] & known[other]) for one, other in ordered_pairs(len(vectors))
    ]
    return torch.stack(found) if found else torch.zeros(0, len(DEPTHS))


def ordered_pairs(n_modalities: int) -> list[tuple[int, int]]:
    """From which modality to which."""
    return list(permutations(range(n_modalities), 2))


def _hits(asking: Tensor, asked: Tensor, both: Tensor) -> Tensor:
    items = both.nonzero().flatten()
    if len(items) == 0:
        return torch.full((len(DEPTHS),), torch.nan)
    if len(items) > _MOST_ITEMS:
        generator = torch.Generator().manual_seed(_SAMPLE_SEED)
        items = items[torch.randperm(len(items), generator=generator)[:_MOST_ITEMS].to(items.device)]
    asking, asked = (functional.normalize(each[items], dim=1) for each in (asking, asked))
    places = []
    for rows in torch.arange(len(items), device=items.device).split(max(1, _BLOCK_PRODUCTS // len(items))):
        cosines = asking[rows] @ asked.t()
        own = cosines.gather(1, rows[:, None])
        places.append((cosines > own).sum(dim=1) + ((cosines == own).sum(dim=1) - 1) / 2)
    place = torch.cat(places)
    return torch.stack([(place < depth).float().mean() for depth in DEPTHS]).cpu()
