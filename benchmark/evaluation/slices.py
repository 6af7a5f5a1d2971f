"""Figures of groups: of users, or of the relevant items that belong to a group.

A user slice averages the users' values over the users of a group. An item slice looks at the same lists and counts as
relevant only the items of a group: R_u becomes R_u and the group, everything else in the list is a miss, and users
without a relevant item in the group drop out of its mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from benchmark.data.dataset import Csr
from benchmark.evaluation.full_ranks import FullRanks
from benchmark.evaluation.held_out import HeldOut
from benchmark.evaluation.ranking import Ranking
from workbench.numbers import Number

Grouped = Literal["users", "items"]
PerUser = Callable[[Ranking], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Slice:
    """A grouping of users or items.

    Attributes
    ----------
    name : what the groups differ in.
    of : what is grouped.
    groups : their names.
    codes : (U,) or (I',) int64, the group of each user or item number; -1 for one that is in none.
    """

    name: str
    of: Grouped
    groups: tuple[str, ...]
    codes: np.ndarray


@dataclass(frozen=True)
class SliceRow:
    """Means over the `users` judged users of a group, by `Metric@k`; no values where there are no users."""

    slice: str
    group: str
    users: int
    values: dict[str, Number]


def group_by_count(counts: np.ndarray, begins: Sequence[int], least: int = 0) -> tuple[np.ndarray, tuple[str, ...]]:
    """Group numbers of training rows: below the first of `begins`, from there to the next, and so on.

    Parameters
    ----------
    counts : (N,) int64.
    begins : where each group but the first begins, ascending.
    least : where the first begins; below it, the code is -1.

    Returns
    -------
    codes (N,) int64, and the names of the groups.
    """
    codes = np.where(counts >= least, np.searchsorted(np.asarray(begins, dtype=np.int64), counts, side="right"), -1)
    lows, highs = [least, *begins], [begin - 1 for begin in begins]
    names = [f"{low} rows" if low == high else f"{low}-{high} rows" for low, high in zip(lows, highs, strict=False)]
    return codes, (*names, f"{lows[-1]} rows or more")


def equal_begins(counts: np.ndarray, weights: np.ndarray, n_groups: int) -> list[int]:
    """Where the second to the last of `n_groups` groups of about equal weight begin.

    A group begins at the first number, in ascending order, that has its share of the weight before it. Equal numbers
    stay together, so that groups may be of unequal weight, or fewer.

    Parameters
    ----------
    counts, weights : (N,) int64.
    """
    if len(counts) == 0:
        return []
    order = np.argsort(counts, kind="stable")
    before = np.cumsum(weights[order]) - weights[order]
    places = np.searchsorted(before * n_groups, weights.sum() * np.arange(1, n_groups))
    begins = np.unique(counts[order][places[places < len(order)]])
    return [int(begin) for begin in begins if begin > counts.min()]


def restrict(ranking: Ranking, inside: np.ndarray, threshold: float) -> Ranking:
    """The same lists, with only some items relevant, for the users who have such items.

    Parameters
    ----------
    ranking : it must know its relevant rows.
    inside : (I',) bool by item number: may be relevant.
    threshold : the one that the ranking was made with.
    """
    rows, device = ranking.rows, ranking.users.device
    assert rows is not None
    within = torch.from_numpy(inside).to(device)
    chosen = within[rows.items]
    users = ranking.users[rows.places[chosen]].cpu().numpy()
    items, ratings = rows.items[chosen].cpu().numpy(), rows.ratings[chosen].cpu().numpy()
    n_users = int(ranking.users.max()) + 1 if len(ranking.users) else 0
    part = Csr.build(users, items, ratings, n_users)
    held_out = HeldOut(part, len(inside), threshold, ranking.items.shape[1], device)
    kept = torch.searchsorted(ranking.users, held_out.users)
    listed = ranking.items[kept]
    hit = within[listed.clamp(min=0)] & (listed >= 0)
    full = ranking.full
    if full is not None:
        full = FullRanks(full.ranks[chosen], full.predictions[chosen], full.candidates[kept])
    return replace(
        ranking,
        users=held_out.users,
        items=listed,
        scores=ranking.scores[kept],
        gains=torch.where(hit, ranking.gains[kept], 0.0),
        relevant=held_out.relevant,
        ideal=held_out.ideal,
        rows=held_out.rows,
        full=full,
    )


def measure_slices(ranking: Ranking, per_user: PerUser, slices: Sequence[Slice], threshold: float) -> list[SliceRow]:
    """A row for all judged users, then one for each group of each slice; also for a group without users.

    Parameters
    ----------
    per_user : from a ranking to `Metric@k` -> (E,) float64.
    threshold : the one that the ranking was made with.
    """
    values = {name: column.cpu().numpy() for name, column in per_user(ranking).items()}
    rows = [_row("all", "all", values, len(ranking.users))]
    for each in slices:
        if each.of == "users":
            rows += _user_rows(each, ranking.users.cpu().numpy(), values)
            continue
        for code, group in enumerate(each.groups):
            part = restrict(ranking, each.codes == code, threshold)
            columns = {name: column.cpu().numpy() for name, column in per_user(part).items()} if len(part.users) else {}
            rows.append(_row(each.name, group, columns, len(part.users)))
    return rows


def _user_rows(each: Slice, users: np.ndarray, values: Mapping[str, np.ndarray]) -> list[SliceRow]:
    codes = each.codes[users]
    order = np.argsort(codes, kind="stable")
    ends = np.searchsorted(codes[order], np.arange(len(each.groups) + 1))
    members = [order[ends[code] : ends[code + 1]] for code in range(len(each.groups))]
    return [
        _row(each.name, group, {name: column[chosen] for name, column in values.items()}, len(chosen))
        for group, chosen in zip(each.groups, members, strict=True)
    ]


def _row(name: str, group: str, values: Mapping[str, np.ndarray], users: int) -> SliceRow:
    return SliceRow(name, group, users, {key: float(column.mean()) for key, column in values.items()} if users else {})
