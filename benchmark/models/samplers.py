"""Samplers: whole epochs drawn at once on the device, handed out in batches. No Python work grows with the batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from benchmark.models.base import TrainingData
from benchmark.models.graphs.interactions import InteractionGraph
from workbench.errors import UserError


class Triples(NamedTuple):
    """Users, an item that each has in training, and one that each has not; all (B,) int64."""

    users: Tensor
    positives: Tensor
    negatives: Tensor


class Positives(NamedTuple):
    """Users and an item that each has in training; both (B,) int64."""

    users: Tensor
    positives: Tensor


class Unseen:
    """Uniform items among those of the training part that a user has not.

    A negative is the r-th of the user's unseen items, r uniform: nothing is drawn twice. If p_0 < p_1 < ... are the
    user's items, p_j - j unseen items lie below p_j, so the r-th unseen item is r + #{j : p_j - j <= r}, which one
    binary search finds in the sorted keys u I + p_j - j. Items count here by their rank among the training items, so
    that an item that nobody has is never drawn: training would only push it down.
    """

    def __init__(self, data: TrainingData) -> None:
        self.trained = torch.unique(data.items)  # ascending
        self._n_items = len(self.trained)
        self._counts, self._indptr = data.indptr.diff(), data.indptr
        places = torch.arange(len(data.items), device=data.device)
        owners = InteractionGraph.of(data).users
        ranks = torch.searchsorted(self.trained, data.items)
        self._unseen_below = owners * self._n_items + ranks - (places - data.indptr[owners])

    @property
    def users(self) -> Tensor:
        """Users who have training items, and not all of them."""
        found = torch.nonzero((self._counts > 0) & (self._counts < self._n_items)).flatten()
        if len(found) == 0:
            raise UserError("every user has every item in training: there is nothing to learn from")
        return found

    def draw(self, users: Tensor, generator: torch.Generator) -> Tensor:
        """An item (B,) for each user (B,), all of whom have unseen ones."""
        ranks = _uniform_below(self._n_items - self._counts[users], generator)
        below = torch.searchsorted(self._unseen_below, users * self._n_items + ranks, right=True)
        return self.trained[ranks + below - self._indptr[users]]


class UniformUserTriples:
    """Uniform user, uniform item of that user, uniform item that the user has not.

    As many triples an epoch as there are training interactions (the scheme of Elliot's BPRMF, VBPR and LightGCN).
    """

    def __init__(self, data: TrainingData) -> None:
        self._indptr, self._items, self._counts = data.indptr, data.items, data.indptr.diff()
        self._unseen = Unseen(data)
        self._users = self._unseen.users

    def epoch(self, generator: torch.Generator) -> Triples:
        """All triples of one epoch, each (T,)."""
        draws = torch.randint(len(self._users), (len(self),), generator=generator, device=self._items.device)
        users = self._users[draws]
        positives = self._items[self._indptr[users] + _uniform_below(self._counts[users], generator)]
        return Triples(users, positives, self._unseen.draw(users, generator))

    def batches(self, batch_size: int, generator: torch.Generator) -> Iterator[Triples]:
        """The triples of one epoch, `batch_size` at a time."""
        for columns in zip(*(column.split(batch_size) for column in self.epoch(generator)), strict=True):
            yield Triples(*columns)

    def __len__(self) -> int:
        return len(self._items)


class Pairs:
    """Every training interaction once an epoch, shuffled, without negatives (BM3, SelfCF)."""

    def __init__(self, data: TrainingData) -> None:
        graph = InteractionGraph.of(data)
        self._users, self._items = graph.users, graph.items

    def epoch(self, generator: torch.Generator) -> Positives:
        """All pairs of one epoch, each (T,)."""
        order = torch.randperm(len(self), generator=generator, device=self._items.device)
        return Positives(self._users[order], self._items[order])

    def batches(self, batch_size: int, generator: torch.Generator) -> Iterator[Positives]:
        """The pairs of one epoch, `batch_size` at a time."""
        for columns in zip(*(column.split(batch_size) for column in self.epoch(generator)), strict=True):
            yield Positives(*columns)

    def __len__(self) -> int:
        return len(self._items)


class EdgeTriples:
    """Every training interaction once an epoch, shuffled, with one uniform item that the user has not.

    The scheme of MMRec, and of Elliot's GRCN, MMGCN, FREEDOM and SimGCL. Users who have every item are left out.
    """

    def __init__(self, data: TrainingData) -> None:
        self._unseen = Unseen(data)
        learnt_from = torch.zeros(data.n_users, dtype=torch.bool, device=data.device)
        learnt_from[self._unseen.users] = True
        owners = torch.repeat_interleave(torch.arange(data.n_users, device=data.device), data.indptr.diff())
        kept = learnt_from[owners]
        self._users, self._items = owners[kept], data.items[kept]

    def epoch(self, generator: torch.Generator) -> Triples:
        """All triples of one epoch, each (T,)."""
        order = torch.randperm(len(self), generator=generator, device=self._items.device)
        users = self._users[order]
        return Triples(users, self._items[order], self._unseen.draw(users, generator))

    def batches(self, batch_size: int, generator: torch.Generator) -> Iterator[Triples]:
        """The triples of one epoch, `batch_size` at a time."""
        for columns in zip(*(column.split(batch_size) for column in self.epoch(generator)), strict=True):
            yield Triples(*columns)

    def __len__(self) -> int:
        return len(self._items)


class DistinctUserTriples:
    """Every batch has distinct users, with one item of each and one that each has not.

    ceil(T / B) batches an epoch (the scheme of NGCF, and of Elliot's LATTICE). With fewer users than B, a batch has all
    of them.
    """

    def __init__(self, data: TrainingData) -> None:
        self._indptr, self._items, self._counts = data.indptr, data.items, data.indptr.diff()
        self._unseen = Unseen(data)
        self._users = self._unseen.users

    def batches(self, batch_size: int, generator: torch.Generator) -> Iterator[Triples]:
        """The triples of one epoch, up to `batch_size` at a time."""
        for _ in range(-(-len(self) // batch_size)):
            order = torch.randperm(len(self._users), generator=generator, device=self._items.device)
            users = self._users[order[:batch_size]]
            positives = self._items[self._indptr[users] + _uniform_below(self._counts[users], generator)]
            yield Triples(users, positives, self._unseen.draw(users, generator))

    def __len__(self) -> int:
        return len(self._items)


def _uniform_below(bounds: Tensor, generator: torch.Generator) -> Tensor:
    """One uniform integer in [0, bound) for every bound (B,), bounds below 2^53 / 2."""
    draws = torch.rand(len(bounds), generator=generator, device=bounds.device, dtype=torch.float64)
    return torch.minimum((draws * bounds).long(), bounds - 1)
