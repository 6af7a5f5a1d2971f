"""What of R_u stands in the first k.

Notation: k the cutoff, R_u the relevant held-out items of user u, rel_r = 1 if the item at rank r (from 1) is in R_u,
d_r = 1 / log2(r + 1). Values (E,) float64; the mean is over users with at least one relevant item. The formulas are
Elliot's where nothing else is said.
"""

from __future__ import annotations

import torch
from torch import Tensor

from benchmark.evaluation.lists import Lists
from benchmark.evaluation.metrics.registry import metric


@metric("Recall")
def recall(lists: Lists, k: int) -> Tensor:
    """Hits in the first k over |R_u| (not over min(k, |R_u|))."""
    return lists.found[:, k - 1] / lists.relevant


@metric("Recall_min")
def recall_min(lists: Lists, k: int) -> Tensor:
    """Hits in the first k over min(k, |R_u|), so that 1 can always be reached (Mult-VAE: Liang et al., WWW 2018)."""
    return lists.found[:, k - 1] / lists.relevant.clamp(max=k)


@metric("Precision")
def precision(lists: Lists, k: int) -> Tensor:
    """Hits in the first k over k, also where the list is shorter than k."""
    return lists.precisions[:, k - 1]


@metric("HR")
def hit_rate(lists: Lists, k: int) -> Tensor:
    """1 if there is a hit in the first k."""
    return (lists.found[:, k - 1] > 0).double()


@metric("F1")
def f1(lists: Lists, k: int) -> Tensor:
    """Harmonic mean of the user's precision and recall; 0 without a hit."""
    return harmonic(precision(lists, k), recall(lists, k))


@metric("MRR")
def mrr(lists: Lists, k: int) -> Tensor:
    """1 / rank of the first hit within the first k; 0 without one."""
    return (lists.hits[:, :k] / lists.positions[:k]).amax(1)


@metric("MAP")
def mean_precision(lists: Lists, k: int) -> Tensor:
    """Elliot's: mean of Precision@n over n = 1..k. It is not the average precision: see `MAP_standard`."""
    return lists.precisions[:, :k].mean(1)


@metric("MAR")
def mean_recall(lists: Lists, k: int) -> Tensor:
    """Mean of Recall@n over n = 1..k."""
    return lists.found[:, :k].mean(1) / lists.relevant


@metric("MAP_standard")
def average_precision(lists: Lists, k: int) -> Tensor:
    """Average precision: sum over r = 1..k of rel_r Precision@r, over min(k, |R_u|)."""
    return _precision_at_hits(lists, k) / lists.relevant.clamp(max=k)


@metric("MAP_trec")
def average_precision_trec(lists: Lists, k: int) -> Tensor:
    """The same sum over |R_u|: trec_eval's `map_cut`."""
    return _precision_at_hits(lists, k) / lists.relevant


@metric("nDCG")
def ndcg(lists: Lists, k: int) -> Tensor:
    """Graded: sum of g d_r over that of the best list of min(|R_u|, k) items; g = 2^(rating - threshold + 1) - 1."""
    best = lists.ideal_gains[:, :k].sum(1)
    return lists.discounted_gains[:, :k].sum(1) / best


@metric("nDCG_binary")
def ndcg_binary(lists: Lists, k: int) -> Tensor:
    """Binary: sum of rel_r d_r over the sum of the first min(|R_u|, k) discounts; ratings do not matter."""
    return lists.discounted_hits[:, :k].sum(1) / lists.ideal_hits[:, :k].sum(1)


def harmonic(first: Tensor, second: Tensor, beta: float = 1.0) -> Tensor:
    """(1 + b^2) x y / (b^2 x + y), 0 where the denominator is: van Rijsbergen's F, at b = 1 Dice's coefficient."""
    weighted = beta**2 * first + second
    return torch.where(weighted > 0, (1 + beta**2) * first * second / weighted, 0.0)


def _precision_at_hits(lists: Lists, k: int) -> Tensor:
    return (lists.hits[:, :k] * lists.precisions[:, :k]).sum(1)
