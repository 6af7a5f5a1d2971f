"""Ranks of all relevant items, found in the same pass over blocks of scores in which the lists are made."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from benchmark.evaluation.held_out import HeldOut


@dataclass(frozen=True)
class FullRanks:
    """What the lists do not tell about the P relevant rows, and a look at all scores does.

    Attributes
    ----------
    ranks : (P,) int64, from 1, among the user's candidates; 0 where the item is not one of them.
    predictions : (P,) float32, the model's scores before anything is masked; NaN where it has none for the item.
    candidates : (E,) int64, items that could be recommended to the user.
    """

    ranks: Tensor
    predictions: Tensor
    candidates: Tensor


class FullPass:
    """Sees every block of scores twice, before and after the mask, in the order of `held_out.users`."""

    def __init__(self, held_out: HeldOut) -> None:
        self._rows = held_out.rows
        self._ends = torch.nn.functional.pad(held_out.relevant.cumsum(0), (1, 0)).cpu()
        self._users = 0
        self._predictions: list[Tensor] = []
        self._ranks: list[Tensor] = []
        self._candidates: list[Tensor] = []

    def scored(self, scores: Tensor) -> None:
        """Take the scores (B, I) of the next B users as the model gives them."""
        places, items = self._block(len(scores))
        known = items < scores.shape[1]
        found = scores[places, items.clamp(max=scores.shape[1] - 1)]
        self._predictions.append(found.masked_fill_(~known, torch.nan))

    def masked(self, scores: Tensor) -> None:
        """Take the same scores after the mask, and go on to the next users."""
        places, items = self._block(len(scores))
        self._ranks.append(ranks(scores, places, items))
        self._candidates.append((scores > -torch.inf).sum(1, dtype=torch.int32).long())
        self._users += len(scores)

    def result(self) -> FullRanks:
        """Everything about all users."""
        return FullRanks(*(torch.cat(column) for column in (self._ranks, self._predictions, self._candidates)))

    def _block(self, n_users: int) -> tuple[Tensor, Tensor]:
        rows = slice(int(self._ends[self._users]), int(self._ends[self._users + n_users]))
        return self._rows.places[rows] - self._users, self._rows.items[rows]


def ranks(scores: Tensor, rows: Tensor, items: Tensor) -> Tensor:
    """Ranks (P,) int64 of the items (P,) in the rows (P,) of scores (B, I), from 1; equal scores rank by item number.

    0 where the score is minus infinity or where there is none. Scores are compared a block's size at a time, so that
    users with many relevant items do not make the memory grow.
    """
    n_items = scores.shape[1]
    numbers = torch.arange(n_items, device=scores.device)
    parts = [torch.zeros(0, dtype=torch.int64, device=scores.device)]
    for row, item in zip(rows.split(len(scores) or 1), items.split(len(scores) or 1), strict=True):
        others = scores[row]
        own = others.gather(1, item.clamp(max=n_items - 1)[:, None])
        ahead = (others > own).sum(1, dtype=torch.int32)
        equal = others == own
        if (equal.sum(1, dtype=torch.int32) > 1).any():
            ahead += (equal & (numbers < item[:, None])).sum(1, dtype=torch.int32)
        ranked = (item < n_items) & (own[:, 0] > -torch.inf)
        parts.append(torch.where(ranked, ahead.long() + 1, 0))
    return torch.cat(parts)
