"""Subtopic recall, from categories of items."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmark.evaluation.clusters import Categories
from benchmark.evaluation.lists import Lists
from benchmark.evaluation.metrics.registry import Formula


def subtopic_recall(categories: Categories) -> Formula:
    """Categories that the hits in the first k have, over all categories of the training items.

    C. Zhai, W. Cohen, J. Lafferty, Beyond independent relevance, SIGIR 2003; as in Elliot, only hits count.
    """

    def formula(lists: Lists, k: int) -> Tensor:
        rows, columns = torch.nonzero(lists.hits[:, :k], as_tuple=True)
        items = lists.items[rows, columns]
        starts = categories.indptr[items]
        counts = categories.indptr[items + 1] - starts
        owners = torch.repeat_interleave(rows, counts)
        inside = torch.arange(len(owners), device=rows.device) - torch.repeat_interleave(
            counts.cumsum(0) - counts, counts
        )
        values = categories.values[torch.repeat_interleave(starts, counts) + inside]
        distinct = torch.unique(owners * categories.n + values)
        return torch.bincount(distinct // categories.n, minlength=len(lists.relevant)).double() / categories.n

    return formula
