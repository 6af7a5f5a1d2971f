"""Block of users x all items -> mask -> top k -> hits. Equal scores rank by item number, the lower first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from benchmark.data.dataset import Csr
from benchmark.models.base import Diverged

BLOCK_BYTES = 32 * 2**20  # scores held at a time; larger blocks leave the processor's cache and gain nothing


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
    """

    def __init__(self, part: Csr, n_ids: int, threshold: float, k: int, device: torch.device) -> None:
        rows = part.values >= threshold
        users, items = part.users[rows], part.items[rows]
        with np.errstate(over="ignore"):  # infinite from ratings of about 1,000 on; graded nDCG refuses them
            gains = np.exp2(part.values[rows].astype(np.float64) - threshold + 1) - 1
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

    def gains(self, users: Tensor, items: Tensor) -> Tensor:
        """(B, k) float64 gains of the listed items (B, k) for the users (B,); 0 for an item that is not relevant."""
        if len(self._keys) == 0:
            return torch.zeros(items.shape, dtype=torch.float64, device=items.device)
        keys = users[:, None] * self._n_ids + items
        places = torch.searchsorted(self._keys, keys).clamp_(max=len(self._keys) - 1)
        return torch.where(self._keys[places] == keys, self._gains[places], 0.0)


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
    """

    users: Tensor
    items: Tensor
    scores: Tensor
    gains: Tensor
    relevant: Tensor
    ideal: Tensor

    @cached_property
    def hits(self) -> Tensor:
        """(E, k) float64, 1 at hits."""
        return (self.gains > 0).double()


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


def rank(score: Callable[[Tensor], Tensor], held_out: HeldOut, mask: Mask, k: int, n_items: int) -> Ranking:
    """Rank all candidates for every judged user, in blocks.

    Parameters
    ----------
    score : users (B,) -> scores (B, I), a tensor of their own: it is written to.
    k : length of the lists; longer than I is cut to I and padded.

    Raises
    ------
    Diverged : a score is NaN.
    """
    block = max(1, BLOCK_BYTES // (4 * n_items))
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    for users in held_out.users.split(block):
        scores = score(users).float().contiguous()
        mask.apply(scores, users)
        values, items = top_k(scores, min(k, n_items))
        if values.isnan().any():  # NaN ranks first, so it cannot hide further down
            raise Diverged("the model gives scores that are not numbers")
        gains = held_out.gains(users, items).masked_fill_(values == -torch.inf, 0.0)
        parts.append((values, items.masked_fill(values == -torch.inf, -1), gains))
    if not parts:
        empty = torch.zeros((0, k), device=held_out.users.device)
        return Ranking(held_out.users, empty.long(), empty, empty.double(), held_out.relevant, held_out.ideal)
    scores, items, gains = (torch.cat(column) for column in zip(*parts, strict=True))
    if n_items < k:
        pad = (0, k - n_items)
        scores = torch.nn.functional.pad(scores, pad, value=-torch.inf)
        items = torch.nn.functional.pad(items, pad, value=-1)
        gains = torch.nn.functional.pad(gains, pad)
    return Ranking(held_out.users, items, scores, gains, held_out.relevant, held_out.ideal)


def top_k(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Values and places (B, k) of the k largest scores of each row (B, I); among equal scores the lower place first.

    `torch.topk` leaves the order of equal scores open. One place more than needed is taken to see whether the end of
    the list cuts through equal scores; only rows where scores are equal are ordered again, by (score, -place).
    """
    values, places = torch.topk(scores, min(k + 1, scores.shape[1]))
    equal = values[:, 1:] == values[:, :-1]
    cut = equal[:, k - 1] if values.shape[1] > k else torch.zeros(len(scores), dtype=torch.bool, device=scores.device)
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
