"""What there is to find: the relevant held-out items of each user."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmark.data.dataset import Csr


@dataclass(frozen=True)
class RelevantRows:
    """The relevant held-out rows of the judged users.

    Attributes
    ----------
    places : (P,) int64, ascending: which judged user, as a row of the ranking.
    items : (P,) int64, ascending within a user.
    ratings : (P,) float64.
    """

    places: Tensor
    items: Tensor
    ratings: Tensor


class HeldOut:
    """The relevant held-out items of each user, ready to be looked up.

    Parameters
    ----------
    part : held-out rows, CSR over (U, I').
    n_ids : I', one more than the largest item number in `part`.
    threshold : a row is relevant if its rating is at least this.
    k : the longest list that will be judged.

    Attributes
    ----------
    users : (E,) int64, users with at least one relevant item; only they are judged.
    relevant : (E,) int64, how many relevant items each has.
    ideal : (E, k) float64, gains of the best possible list, zero-padded; gain = 2^(rating - threshold + 1) - 1.
    rows : the relevant rows themselves.
    """

    def __init__(self, part: Csr, n_ids: int, threshold: float, k: int, device: torch.device) -> None:
        chosen = part.values >= threshold
        users, items, ratings = part.users[chosen], part.items[chosen], part.values[chosen].astype(np.float64)
        with np.errstate(over="ignore"):  # infinite from ratings of about 1,000 on; graded nDCG refuses them
            gains = np.exp2(ratings - threshold + 1) - 1
        counts = np.bincount(users, minlength=len(part.indptr) - 1)
        order = np.lexsort((-gains, users))
        rank = np.arange(len(users)) - np.repeat(np.cumsum(counts) - counts, counts)
        kept = rank < k
        judged = np.flatnonzero(counts)
        row_of = np.full(len(counts), -1)
        row_of[judged] = np.arange(len(judged))
        ideal = np.zeros((len(judged), k))
        ideal[row_of[users[order][kept]], rank[kept]] = gains[order][kept]
        self._n_ids = n_ids
        self._keys = torch.from_numpy(users * n_ids + items).to(device)  # ascending, as CSR is
        self._gains = torch.from_numpy(gains).to(device)
        self.users = torch.from_numpy(judged).to(device)
        self.relevant = torch.from_numpy(counts[judged]).to(device)
        self.ideal = torch.from_numpy(ideal).to(device)
        self.rows = RelevantRows(*(torch.from_numpy(column).to(device) for column in (row_of[users], items, ratings)))

    def gains(self, users: Tensor, items: Tensor) -> Tensor:
        """(B, k) float64 gains of the listed items (B, k) for the users (B,); 0 for an item that is not relevant."""
        if len(self._keys) == 0:
            return torch.zeros(items.shape, dtype=torch.float64, device=items.device)
        keys = users[:, None] * self._n_ids + items
        places = torch.searchsorted(self._keys, keys).clamp_(max=len(self._keys) - 1)
        return torch.where(self._keys[places] == keys, self._gains[places], 0.0)
