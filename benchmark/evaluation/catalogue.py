"""What metrics of popularity, novelty and fairness know of the training part."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from benchmark.data.dataset import Csr

HEAD_SHARE = 0.8


@dataclass(frozen=True)
class Catalogue:
    """Training statistics, on the device.

    Attributes
    ----------
    n_users, n_items : sizes of the universe.
    users, items : (T,) int64, the training rows, ascending by user, then by item.
    popularity : (I,) int64, training rows of each item.
    """

    n_users: int
    n_items: int
    users: Tensor
    items: Tensor
    popularity: Tensor

    @staticmethod
    def build(train: Csr, n_items: int, device: torch.device) -> Catalogue:
        """From the training rows, whose items are all below `n_items`."""
        users, items = torch.from_numpy(train.users).to(device), torch.from_numpy(train.items).to(device)
        popularity = torch.bincount(items, minlength=n_items)
        return Catalogue(len(train.indptr) - 1, n_items, users, items, popularity)

    @cached_property
    def training_users(self) -> int:
        """Users with training rows."""
        return len(torch.unique_consecutive(self.users))

    @property
    def rows(self) -> int:
        """T, the number of training rows."""
        return len(self.items)

    def tail(self, head_share: float = HEAD_SHARE) -> Tensor:
        """(I,) bool, the long tail: all but the head.

        The head is the most popular items, equals by number, up to and with the one at which they reach `head_share`
        of the training rows.
        """
        order = torch.argsort(self.popularity, descending=True, stable=True)
        before = self.popularity[order].cumsum(0) - self.popularity[order]
        tail = torch.empty_like(order, dtype=torch.bool)
        tail[order] = before >= head_share * self.rows
        return tail

    @cached_property
    def long_tail(self) -> Tensor:
        """(I,) bool, the tail behind a head of 80 % of the training rows."""
        return self.tail()

    @cached_property
    def self_information(self) -> Tensor:
        """(I,) float64: -log2 of an item's share of the training rows; an item without rows has the largest of all."""
        share = self.popularity.double() / max(self.rows, 1)
        seen = self.popularity > 0
        if not seen.any():
            return torch.zeros_like(share)
        return -torch.log2(torch.where(seen, share, share[seen].min()))

    def holds(self, users: Tensor, items: Tensor) -> Tensor:
        """(N,) bool: whether the pair of a user (N,) and an item (N,), below I, is a training row."""
        if not self.rows:
            return torch.zeros_like(users, dtype=torch.bool)
        keys = users * self.n_items + items
        places = torch.searchsorted(self._keys, keys).clamp_(max=self.rows - 1)
        return self._keys[places] == keys

    @cached_property
    def _keys(self) -> Tensor:
        return self.users * self.n_items + self.items
