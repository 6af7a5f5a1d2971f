"""How much of the catalogue is shown, to whom, and how evenly. Over the lists of the judged users.

Notation: I the candidate items, n = |I|; c_i the number of users who have item i in their first k; p_i = c_i / sum c.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from benchmark.evaluation.lists import Lists
from benchmark.evaluation.metrics.registry import metric


@metric("ItemCoverage", per_user=False, needs=("catalogue",))
def item_coverage(lists: Lists, k: int) -> float:
    """Elliot's: the count of items with c_i > 0. Papers divide it by n: see `ItemCoverage_share`."""
    return float((lists.counts(k) > 0).sum())


@metric("ItemCoverage_share", per_user=False, needs=("catalogue",))
def item_coverage_share(lists: Lists, k: int) -> float:
    """The same count over n."""
    return item_coverage(lists, k) / lists.catalogue.n_items


@metric("UserCoverage", per_user=False)
def user_coverage(lists: Lists, k: int) -> float:
    """Count of users with a list that is not empty."""
    return float((lists.lengths(k) > 0).sum())


@metric("UserCoverageAtN", per_user=False)
def user_coverage_at_n(lists: Lists, k: int) -> float:
    """Count of users with a list of at least k items."""
    return float((lists.lengths(k) == k).sum())


@metric("NumRetrieved")
def num_retrieved(lists: Lists, k: int) -> Tensor:
    """Items in the user's list, up to k."""
    return lists.lengths(k).double()


@metric("Gini", per_user=False, needs=("catalogue",))
def gini(lists: Lists, k: int) -> float:
    """Elliot's: 1 - `Gini_coefficient`; larger is more even."""
    return 1 - gini_coefficient(lists, k)


@metric("Gini_coefficient", per_user=False, needs=("catalogue",))
def gini_coefficient(lists: Lists, k: int) -> float:
    """Sum over j = 1..n of (2 j - n - 1) p_(j) over n - 1, p_(j) ascending; 0 is even, 1 is one item for all.

    Items that nobody is shown count. NaN without any listed item; 0 if there is one item only.
    """
    return inequality(lists.counts(k))


def inequality(counts: Tensor) -> float:
    """Gini coefficient of counts (n,)."""
    n, total = len(counts), float(counts.sum())
    if total == 0:
        return math.nan
    weights = 2 * torch.arange(1, n + 1, device=counts.device, dtype=torch.float64) - n - 1
    return float((weights * counts.sort().values.double()).sum()) / total / max(n - 1, 1)


@metric("SEntropy", per_user=False, needs=("catalogue",))
def sales_entropy(lists: Lists, k: int) -> float:
    """Elliot's: mean over users of the mean of -log2 p_i over their list. An empty list adds 0.

    With lists of one length it equals `Shannon_entropy`.
    """
    surprise = _surprise(lists, k)[lists.items[:, :k]] * lists.listed[:, :k]
    return float((surprise.sum(1) / lists.lengths(k).clamp(min=1)).mean())


@metric("Shannon_entropy", per_user=False, needs=("catalogue",))
def shannon_entropy(lists: Lists, k: int) -> float:
    """- sum of p_i log2 p_i, in bits; NaN without any listed item."""
    counts = lists.counts(k)
    total = float(counts.sum())
    return float((counts * _surprise(lists, k)).sum()) / total if total else math.nan


def _surprise(lists: Lists, k: int) -> Tensor:
    """(I,) float64: -log2 p_i, 0 where c_i = 0."""
    counts = lists.counts(k).double()
    return torch.where(counts > 0, -torch.log2(counts.clamp(min=1) / counts.sum().clamp(min=1)), 0.0)
