"""Samplers: whole epochs drawn at once on the device, handed out in batches. No Python work grows with the batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from benchmark.models.base import TrainingData
from workbench.errors import UserError


class Triples(NamedTuple):
    """Users, an item that each has in training, and one that each has not; all (B,) int64."""

    users: Tensor
    positives: Tensor
    negatives: Tensor


class UniformUserTriples:
    """Uniform user, uniform item of that user, uniform item that the user has not.

    As many triples an epoch as there are training interactions (the scheme of Elliot's BPRMF and VBPR).

    A negative is the r-th of the user's unseen items, r uniform: nothing is drawn twice. If p_0 < p_1 < ... are the
    user's items, p_j - j unseen items lie below p_j, so the r-th unseen item is r + #{j : p_j - j <= r}, which one
    binary search finds in the sorted keys u I + p_j - j.
    """

    def __init__(self, data: TrainingData) -> None:
        self._indptr, self._items, self._n_items = data.indptr, data.items, data.n_items
        self._counts = data.indptr.diff()
        places = torch.arange(len(data.items), device=data.device)
        owners = torch.repeat_interleave(torch.arange(data.n_users, device=data.device), self._counts)
        self._unseen_below = owners * data.n_items + data.items - (places - data.indptr[owners])
        self._users = torch.nonzero((self._counts > 0) & (self._counts < data.n_items)).flatten()
        if len(self._users) == 0:
            raise UserError("every user has every item in training: there is nothing to learn from")

    def epoch(self, generator: torch.Generator) -> Triples:
        """All triples of one epoch, each (T,)."""
        size = len(self._items)
        device = self._items.device
        users = self._users[torch.randint(len(self._users), (size,), generator=generator, device=device)]
        counts, starts = self._counts[users], self._indptr[users]
        positives = self._items[starts + _uniform_below(counts, generator)]
        ranks = _uniform_below(self._n_items - counts, generator)
        below = torch.searchsorted(self._unseen_below, users * self._n_items + ranks, right=True)
        return Triples(users, positives, ranks + below - starts)

    def batches(self, batch_size: int, generator: torch.Generator) -> Iterator[Triples]:
        """The triples of one epoch, `batch_size` at a time."""
        for columns in zip(*(column.split(batch_size) for column in self.epoch(generator)), strict=True):
            yield Triples(*columns)

    def __len__(self) -> int:
        return len(self._items)


def _uniform_below(bounds: Tensor, generator: torch.Generator) -> Tensor:
    """One uniform integer in [0, bound) for every bound (B,), bounds below 2^53 / 2."""
    draws = torch.rand(len(bounds), generator=generator, device=bounds.device, dtype=torch.float64)
    return torch.minimum((draws * bounds).long(), bounds - 1)
