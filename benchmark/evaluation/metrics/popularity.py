"""How popular the listed items are.

The long tail is what the head leaves: the most popular items, equals by number, that together hold 80 % of the
training rows, the one that reaches them included.
"""

from __future__ import annotations

from torch import Tensor

from benchmark.evaluation.lists import Lists
from benchmark.evaluation.metrics.fairness import opportunity, parity, spread
from benchmark.evaluation.metrics.registry import Formula, metric


@metric("ARP", needs=("catalogue",))
def arp(lists: Lists, k: int) -> Tensor:
    """Average recommendation popularity: mean training rows of the items listed up to k; 0 for an empty list
    (H. Yin et al., Challenging the long tail recommendation, VLDB 2012)."""
    return lists.popularity[:, :k].sum(1) / lists.lengths(k).clamp(min=1)


@metric("APLT", needs=("catalogue",))
def aplt(lists: Lists, k: int) -> Tensor:
    """Share of long-tail items in the list up to k; 0 for an empty list (H. Abdollahpouri et al., RecSys 2017)."""
    return aclt(lists, k) / lists.lengths(k).clamp(min=1)


@metric("ACLT", needs=("catalogue",))
def aclt(lists: Lists, k: int) -> Tensor:
    """Count of long-tail items among those listed up to k."""
    return lists.tail[:, :k].sum(1).double()


@metric("PopRSP", per_user=False, needs=("catalogue",))
def pop_rsp(lists: Lists, k: int) -> float:
    """Ranking-based statistical parity between head and tail: `fairness.parity`, standard deviation over mean."""
    return spread(parity(lists, k, lists.catalogue.long_tail.long(), 2))


@metric("PopREO", per_user=False, needs=("catalogue",))
def pop_reo(lists: Lists, k: int) -> float:
    """Ranking-based equal opportunity between head and tail: `fairness.opportunity`, standard deviation over mean."""
    return spread(opportunity(lists, k, lists.catalogue.long_tail.long(), 2))


def extended_pop_rsp(pop_ratio: float) -> Formula:
    """PopRSP with a head of another share of the training rows."""
    return lambda lists, k: spread(parity(lists, k, lists.catalogue.tail(pop_ratio).long(), 2))


def extended_pop_reo(pop_ratio: float) -> Formula:
    """PopREO, likewise."""
    return lambda lists, k: spread(opportunity(lists, k, lists.catalogue.tail(pop_ratio).long(), 2))
