"""Whole users as samples: rows of the binary user-item matrix, for models that read a user's items and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from benchmark.models.base import Histories, TrainingData
from benchmark.models.graphs.sparse import Pattern, row_pointers


def every_row(shown: TrainingData | Histories, n_items: int) -> Pattern:
    """The matrix (U, I) of a training part or of histories."""
    return Pattern(shown.indptr, shown.items, (len(shown.indptr) - 1, n_items))


def rows_of(everyone: Pattern, users: Tensor) -> Pattern:
    """Some rows (B, I) of a matrix, in the order of the users (B,)."""
    starts, lengths = everyone.indptr[users], everyone.indptr.diff()[users]
    indptr = torch.nn.functional.pad(lengths.cumsum(0), (1, 0))
    shifts = torch.repeat_interleave(starts - indptr[:-1], lengths)
    places = torch.arange(len(shifts), device=shifts.device) + shifts
    return Pattern(indptr, everyone.columns[places], (len(users), everyone.shape[1]))


def repeated(rows: Pattern, times: int) -> Pattern:
    """The same rows one below the other, (times B, I)."""
    lengths = rows.indptr.diff().repeat(times)
    indptr = torch.nn.functional.pad(lengths.cumsum(0), (1, 0))
    return Pattern(indptr, rows.columns.repeat(times), (times * rows.shape[0], rows.shape[1]))


def in_parts(rows: Pattern, counted: Tensor) -> Pattern:
    """Rows over P parts of the items: (B, P I) from (B, I); item i of part p is column p I + i.

    Parameters
    ----------
    counted : (P, I) bool, False where a part has no such item.
    """
    n_parts, n_items = counted.shape
    parts = torch.arange(n_parts, device=counted.device)
    there = counted.t()[rows.columns]  # (E, P)
    columns = (rows.columns[:, None] + n_items * parts)[there]
    owners = rows.rows[:, None].expand(-1, n_parts)[there]
    return Pattern(row_pointers(owners, rows.shape[0]), columns, (rows.shape[0], n_parts * n_items))


class UserRows:
    """Every user with training items once an epoch, shuffled: batches are rows (B, I)."""

    def __init__(self, everyone: Pattern) -> None:
        self._everyone = everyone
        self._users = everyone.indptr.diff().nonzero().flatten()

    def batches(self, batch_size: int, generator: torch.Generator) -> Iterator[Pattern]:
        """The rows of one epoch, `batch_size` users at a time."""
        order = torch.randperm(len(self), generator=generator, device=self._users.device)
        return (rows_of(self._everyone, users) for users in self._users[order].split(batch_size))

    def __len__(self) -> int:
        return len(self._users)
