"""Block of users x all items -> mask -> top k -> hits. Equal scores rank by item number, the lower first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from benchmark.data.dataset import Csr
from benchmark.evaluation.full_ranks import FullPass, FullRanks
from benchmark.evaluation.held_out import HeldOut, RelevantRows
from benchmark.models.base import Diverged

BLOCK_BYTES = 32 * 2**20  # scores held at a time; larger blocks leave the processor's cache and gain nothing


@dataclass(frozen=True)
class Ranking:
    """Lists of the judged users and what they hit.

    Attributes
    ----------
    users : (E,) int64.
    items : (E, k) int64, best first; -1 where the list ends early.
    scores : (E, k) float32.
    gains : (E, k) float64; above 0 exactly at hits.
    relevant : (E,) int64, relevant held-out items of each user.
    ideal : (E, k) float64, gains of the best possible list.
    rows : the relevant rows, None where only their number is known.
    full : ranks and scores of the relevant rows, None unless they were asked for.
    """

    users: Tensor
    items: Tensor
    scores: Tensor
    gains: Tensor
    relevant: Tensor
    ideal: Tensor
    rows: RelevantRows | None = None
    full: FullRanks | None = None

    @cached_property
    def hits(self) -> Tensor:
        """(E, k) float64, 1 at hits."""
        return (self.gains > 0).double()


class Masker(Protocol):
    """Decides what can be recommended."""

    def apply(self, scores: Tensor, users: Tensor) -> None:
        """Set the scores (B, I) of items that must not be recommended to the users (B,) to minus infinity, in place."""


class Mask:
    """Items that must not be recommended to a user: the rows of one or several parts."""

    def __init__(self, parts: Sequence[Csr], n_items: int, device: torch.device) -> None:
        users = np.concatenate([part.users for part in parts])
        items = np.concatenate([part.items for part in parts])
        known = items < n_items
        both = Csr.build(users[known], items[known], np.zeros(int(known.sum())), len(parts[0].indptr) - 1)
        self._indptr = torch.from_numpy(both.indptr).to(device)
        self._items = torch.from_numpy(both.items).to(device)

    def apply(self, scores: Tensor, users: Tensor) -> None:
        """Set the scores (B, I) of masked items to minus infinity, in place."""
        starts = self._indptr[users]
        counts = self._indptr[users + 1] - starts
        rows = torch.repeat_interleave(torch.arange(len(users), device=users.device), counts)
        ends = counts.cumsum(0)
        places = torch.arange(len(rows), device=users.device) + (starts - (ends - counts))[rows]
        scores.view(-1)[rows * scores.shape[1] + self._items[places]] = -torch.inf


def rank(
    score: Callable[[Tensor], Tensor],
    held_out: HeldOut,
    mask: Masker,
    k: int,
    n_items: int,
    full: bool = False,
    shrink: int = 1,
) -> Ranking:
    """Rank all candidates for every judged user, in blocks.

    Parameters
    ----------
    score : users (B,) -> scores (B, I), a tensor of their own: it is written to.
    k : length of the lists; longer than I is cut to I and padded.
    full : whether to find the ranks of all relevant items too, for which every score is looked at again.
    shrink : how many times smaller than usual the blocks are, where memory is short.

    Raises
    ------
    Diverged : a score is NaN.
    ValueError : scores of another shape.
    """
    block = max(1, BLOCK_BYTES // shrink // (4 * n_items))
    watch = FullPass(held_out) if full else None
    parts: list[tuple[Tensor, Tensor]] = []
    for users in held_out.users.split(block):
        scores = score(users).float().contiguous()
        if scores.shape != (len(users), n_items):
            raise ValueError(f"scores of shape {tuple(scores.shape)}, and ({len(users)}, {n_items}) was expected")
        if watch:
            watch.scored(scores)
        mask.apply(scores, users)
        values, items = top_k(scores, min(k, n_items))
        if values.isnan().any():  # NaN ranks first, so it cannot hide further down
            raise Diverged("the model gives scores that are not numbers")
        if watch:
            watch.masked(scores)
        parts.append((items.masked_fill(values == -torch.inf, -1), values))
    items, scores = (torch.cat(column) for column in zip(*parts, strict=True))
    if n_items < k:
        pad = (0, k - n_items)
        items = torch.nn.functional.pad(items, pad, value=-1)
        scores = torch.nn.functional.pad(scores, pad, value=-torch.inf)
    return rank_lists(held_out, items, scores, watch.result() if watch else None)


def rank_lists(held_out: HeldOut, items: Tensor, scores: Tensor, full: FullRanks | None = None) -> Ranking:
    """Judge ready lists, of whatever origin.

    Parameters
    ----------
    items : (E, k) int64, a row for each of `held_out.users`, best first; -1 behind the end of a list.
    scores : (E, k) float32.
    """
    gains = held_out.gains(held_out.users, items.clamp(min=0)).masked_fill_(items < 0, 0.0)
    return Ranking(held_out.users, items, scores, gains, held_out.relevant, held_out.ideal, held_out.rows, full)


def top_k(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Values and places (B, k) of the k largest scores of each row (B, I); among equal scores the lower place first.

    `torch.topk` leaves the order of equal scores open. One place more than needed is taken to see whether the end of
    the list cuts through equal scores; only rows where scores are equal are ordered again, by (score, -place). A cut
    through scores of minus infinity is left as it is: those places are not in the list.
    """
    values, places = torch.topk(scores, min(k + 1, scores.shape[1]))
    equal = values[:, 1:] == values[:, :-1]
    if values.shape[1] > k:
        cut = equal[:, k - 1] & (values[:, k - 1] > -torch.inf)
    else:
        cut = torch.zeros(len(scores), dtype=torch.bool, device=scores.device)
    values, places = values[:, :k], places[:, :k]
    rows = torch.nonzero(cut).flatten()
    if len(rows):
        tied_places = torch.topk(_ordered_keys(scores[rows]), k).indices
        places[rows] = tied_places
        values[rows] = scores[rows].gather(1, tied_places)
    rows = torch.nonzero(equal[:, : k - 1].any(dim=1) & ~cut).flatten()
    if len(rows):
        by_place, order = places[rows].sort(dim=1)
        by_value, again = values[rows].gather(1, order).sort(dim=1, descending=True, stable=True)
        values[rows], places[rows] = by_value, by_place.gather(1, again)
    return values, places


def _ordered_keys(scores: Tensor) -> Tensor:
    """(B, I) int64 keys in the order of (score, -place): the bits of the score, made monotone, above the place."""
    bits = (scores + 0.0).view(torch.int32).long()  # adding zero turns -0.0 into 0.0, which equals it
    monotone = torch.where(bits < 0, -(bits & 0x7FFFFFFF), bits)
    places = torch.arange(scores.shape[1], device=scores.device)
    return monotone * 2**31 - places
