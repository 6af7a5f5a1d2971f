"""The user co-occurrence graph: how many training items two users share."""

from __future__ import annotations

import numpy as np
import torch

from benchmark.data.dataset import Csr
from benchmark.data.modalities.graph import co_interactions
from benchmark.models.base import TrainingData
from benchmark.models.graphs.interactions import InteractionGraph
from benchmark.models.graphs.neighbours import Neighbours


def co_occurring_users(data: TrainingData, k: int) -> Neighbours:
    """The k other users with most items in common, most first; of equal counts the lower number comes first.

    Returns users (U, K) int64 and counts (U, K) float32, -1 and 0 where a user has fewer; K <= k is the most that any
    user has, at least 1. Made once for all trials.
    """
    k = max(1, min(k, data.n_users - 1))

    def make() -> Neighbours:
        graph = InteractionGraph.of(data)
        users, items = graph.users.cpu().numpy(), graph.items.cpu().numpy()
        by_item = Csr.build(items, users, np.ones(len(items)), data.n_items)  # items in the part of users
        counts = co_interactions(by_item, data.n_users, k)
        rows = np.repeat(np.arange(data.n_users), np.diff(counts.indptr))
        order = np.lexsort((counts.indices, -counts.data, rows))
        places = np.arange(len(rows)) - counts.indptr[rows]
        width = max(1, np.diff(counts.indptr).max(initial=0))
        found = np.full((data.n_users, width), -1, dtype=np.int64)
        shared = np.zeros((data.n_users, width), dtype=np.float32)
        found[rows, places] = counts.indices[order]
        shared[rows, places] = counts.data[order]
        return Neighbours(torch.from_numpy(found).to(data.device), torch.from_numpy(shared).to(data.device))

    return data.derived(f"co-occurring users {k}", make)
