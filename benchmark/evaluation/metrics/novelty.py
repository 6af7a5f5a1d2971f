"""How new the hits are (S. Vargas, P. Castells, Rank and relevance in novelty and diversity metrics, RecSys 2011)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor

from benchmark.evaluation.lists import Lists
from benchmark.evaluation.metrics.registry import metric

Relevance = Literal["binary", "discounted"]


@metric("EPC", needs=("catalogue",))
def epc(lists: Lists, k: int) -> Tensor:
    """Expected popularity complement: sum of rel_r d_r (1 - pop_i / |U|) over the sum of d_r, r = 1..min(k, list).

    pop_i: training rows of item i; |U|: users of the training part. 0 for an empty list.
    """
    return _expected(lists, k, _complement(lists), "binary")


@metric("EFD", needs=("catalogue",))
def efd(lists: Lists, k: int) -> Tensor:
    """Expected free discovery: the same with -log2(pop_i / T), T the training rows of all items.

    An item without training rows counts as the rarest of those that have some.
    """
    return _expected(lists, k, lists.catalogue.self_information, "binary")


def extended_epc(relevance: Relevance) -> Callable[[Lists, int], Tensor]:
    """EPC with rel_r as it is (`binary`) or replaced by the gain 2^(rating - threshold + 1) - 1 (`discounted`)."""
    return lambda lists, k: _expected(lists, k, _complement(lists), relevance)


def extended_efd(relevance: Relevance) -> Callable[[Lists, int], Tensor]:
    """EFD, likewise."""
    return lambda lists, k: _expected(lists, k, lists.catalogue.self_information, relevance)


def _complement(lists: Lists) -> Tensor:
    return 1 - lists.catalogue.popularity.double() / lists.catalogue.training_users


def _expected(lists: Lists, k: int, novelty: Tensor, relevance: Relevance) -> Tensor:
    weights = (lists.discounted_hits if relevance == "binary" else lists.discounted_gains)[:, :k]
    norm = (lists.listed[:, :k] * lists.discounts[:k]).sum(1)
    return (weights * novelty[lists.items[:, :k]]).sum(1) / norm.clamp(min=1)  # d_1 = 1
