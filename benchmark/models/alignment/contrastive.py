"""Alignment by contrast: the modalities of an item shall be nearer to each other than to those of other items.

z_r(i) = W_r f_r(i) + b_r        S_ij = exp(a) cos(z_r(i), z_s(j))

loss = mean over the pairs r < s of modalities of
       mean over the items i of the batch that have both of
       ( log sum_j exp(S_ij) + log sum_j exp(S_ji) ) / 2 - S_ii        j: the same items

For two modalities this is the symmetric InfoNCE of CLIP (Radford et al., ICML 2021), with which AlignMacridVAE (Avas et
al., ECIR 2024) begins. A pair of modalities that no item of the batch has counts as 0.

W and b start as torch's linear layers do, uniform in +-1/sqrt(D_r). Batches are rows of the feature matrices where
these are: no item is ever touched singly. An epoch of I items costs 6 I d sum(D_r) operations, and a step holds one
matrix of B x B logits a pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from benchmark.models.alignment.settings import LARGEST_LOG_SCALE, AlignmentParams
from benchmark.models.base import Diverged


class Learned(NamedTuple):
    """W_r (d, D_r) and b_r (d,) of each modality, and the mean loss over the batches of each epoch (epochs,)."""

    weights: list[Tensor]
    biases: list[Tensor]
    losses: Tensor


def train(
    features: Sequence[Tensor], known: Sequence[Tensor], size: int, params: AlignmentParams, seed: int
) -> Learned:
    """Learn the maps of R >= 2 modalities.

    Parameters
    ----------
    features : (I, D_r) a modality; known : (I,) bool a modality.
    size : d.
    seed : of weights and batches; torch's global generators are neither read nor moved.

    Raises
    ------
    Diverged : weights are no longer numbers.
    """
    device = features[0].device
    generator = torch.Generator().manual_seed(seed)  # on the CPU, so that devices agree
    maps = [_start(each.shape[1], size, generator, device) for each in features]
    weights, biases = ([each[part] for each in maps] for part in range(2))
    log_scale = torch.tensor(params.log_scale, device=device, requires_grad=True)
    rest = {"params": [*biases, log_scale], "weight_decay": params.weight_decay * params.decay_scale}
    groups = [{"params": weights, "weight_decay": params.weight_decay}, rest]
    optimiser = torch.optim.Adam(groups, params.lr, fused=device.type in ("cpu", "cuda"))
    counts = torch.stack(list(known)).sum(dim=0)
    items = (counts > 1).nonzero().flatten().cpu()
    all_known = bool((counts[counts > 1] == len(known)).all())
    losses = torch.zeros(params.epochs, device=device)
    with torch.enable_grad(), torch.autocast(device.type, enabled=False):
        for epoch in range(params.epochs):
            batches = items[torch.randperm(len(items), generator=generator)].to(device).split(params.batch_size)
            for batch in batches:
                vectors = [
                    functional.linear(each[batch], weight, bias)
                    for each, weight, bias in zip(features, weights, biases, strict=True)
                ]
                loss = alignment_loss(vectors, log_scale, None if all_known else [each[batch] for each in known])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                with torch.no_grad():
                    log_scale.clamp_(max=LARGEST_LOG_SCALE)
                losses[epoch] += loss.detach()
            losses[epoch] /= len(batches)
    if not all(bool(each.isfinite().all()) for each in [*weights, *biases, losses]):
        raise Diverged("the alignment of the modalities diverged; lower its `lr`")
    return Learned([each.detach() for each in weights], [each.detach() for each in biases], losses)


def alignment_loss(vectors: Sequence[Tensor], log_scale: Tensor, known: Sequence[Tensor] | None = None) -> Tensor:
    """The loss above, from z (B, d) a modality and a; `known` (B,) bool a modality, None where all are."""
    directions = [functional.normalize(each, dim=1) for each in vectors]
    scale, terms = log_scale.exp(), []
    for one, other in combinations(range(len(vectors)), 2):
        scores = scale * (directions[one] @ directions[other].t())
        if known is None:
            sums = (scores.logsumexp(dim=1) + scores.logsumexp(dim=0)) / 2
            terms.append((sums - scores.diagonal()).mean())
        else:
            terms.append(_among(scores, known[one] & known[other]))
    return torch.stack(terms).mean()


def _among(scores: Tensor, both: Tensor) -> Tensor:
    """One pair's term over the items (B,) bool that have both modalities; shapes do not depend on how many they are."""
    lowest = torch.finfo(scores.dtype).min  # not -inf: a row of nothing else would have no gradient but NaN
    rows = scores.masked_fill(~both, lowest).logsumexp(dim=1)
    columns = scores.masked_fill(~both[:, None], lowest).logsumexp(dim=0)
    terms = (rows + columns) / 2 - scores.diagonal()
    return terms.where(both, 0.0).sum() / both.sum().clamp(min=1)


def _start(dim: int, size: int, generator: torch.Generator, device: torch.device) -> tuple[Tensor, Tensor]:
    bound = dim**-0.5
    weight, bias = (
        torch.empty(shape).uniform_(-bound, bound, generator=generator).to(device).requires_grad_()
        for shape in ((size, dim), (size,))
    )
    return weight, bias
