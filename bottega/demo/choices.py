"""Who takes what, when, and how they rate it: from utilities to interactions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FLOOR = 5
"""Fewest interactions of a user, and of an item that is not new."""

NEW_MOST = 3
"""Most interactions of a new item; the fewest is one."""

RATING_SHARES = (0.03, 0.07, 0.18, 0.37, 0.35)
"""Shares of the ratings 1, 2, 3, 4, 5."""

START = 1_672_531_200  # 2023-01-01 00:00 UTC, seconds
DAY = 86_400
DAYS = 730
NEW_DAYS = 45
"""New items are on sale for the last of these days only, so that splitting by time leaves them cold."""


def draw_activity(rng: np.random.Generator, n_users: int, total: int, most: int) -> NDArray[np.int64]:
    """Interactions of every user, (U,): long-tailed, within FLOOR and ``most``, exactly ``total`` in all."""
    zeal = rng.lognormal(sigma=0.9, size=n_users)
    counts: NDArray[np.int64] = np.full(n_users, FLOOR, dtype=np.int64)
    while (left := total - int(counts.sum())) > 0:
        share = np.where(counts < most, zeal, 0.0)
        wanted = left * share / share.sum()
        extra = np.floor(wanted).astype(np.int64)
        # What rounding leaves over goes to the largest fractions, one each.
        largest = np.argsort(-(wanted - extra), kind="stable")[: left - int(extra.sum())]
        extra[largest] += 1
        counts = np.minimum(counts + extra, most)
    return counts


def choose(
    rng: np.random.Generator,
    utilities: NDArray[np.float64],
    new: NDArray[np.bool_],
    n_interactions: int,
    temperature: float,
) -> NDArray[np.bool_]:
    """Which user takes which item, (U, I).

    Adding Gumbel noise to utility / temperature and keeping the k best is the same as drawing k items one
    after the other without replacement, each with probability in proportion to exp(utility / temperature).
    """
    scores = utilities / temperature + rng.gumbel(size=utilities.shape)
    chosen = np.zeros(utilities.shape, dtype=bool)

    # A new item finds its few takers among all users; it is not on the shelf for the main draw.
    takers = rng.integers(1, NEW_MOST + 1, size=int(new.sum()))
    chosen[:, new] = takers > _ranks(scores[:, new].T).T

    n_regular = int((~new).sum())
    regular = n_interactions - int(chosen.sum())
    activity = draw_activity(rng, len(scores), regular, most=n_regular // 2)
    shelf = np.where(new, -np.inf, scores)
    chosen |= _ranks(shelf) < activity[:, None]
    _lift_unsold(chosen, scores, np.flatnonzero(~new))
    return chosen


def _ranks(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Rank of every entry in its row, the best being 0."""
    order = np.argsort(-scores, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(scores.shape[1])[None, :], axis=1)
    return ranks


def _lift_unsold(chosen: NDArray[np.bool_], scores: NDArray[np.float64], items: NDArray[np.int64]) -> None:
    """Swap choices, in place, until each of ``items`` has FLOOR takers; nobody's number of choices changes.

    Each swap is the least unnatural one: the user for whom the unsold item is closest to the one given up,
    which must be an item with takers to spare.
    """
    counts = chosen.sum(axis=0)
    regular = np.zeros(len(counts), dtype=bool)
    regular[items] = True
    for item in items:
        while counts[item] < FLOOR:
            spare = chosen & (regular & (counts > FLOOR))
            spare[chosen[:, item]] = False
            given_up = np.where(spare, scores, np.inf)
            worst = given_up.argmin(axis=1)
            loss = given_up.min(axis=1) - scores[:, item]
            user = int(loss.argmin())
            chosen[user, worst[user]] = False
            chosen[user, item] = True
            counts[worst[user]] -= 1
            counts[item] += 1


def draw_ratings(rng: np.random.Generator, utilities: NDArray[np.float64]) -> NDArray[np.int64]:
    """Ratings 1 to 5 of the interactions, (N,): they rise with the utility (N,), blurred by a mood."""
    spread = utilities.std()
    felt = utilities + 0.6 * spread * rng.standard_normal(len(utilities))
    rank = np.argsort(np.argsort(felt, kind="stable"), kind="stable")
    bounds = np.cumsum(RATING_SHARES)[:-1]
    return 1 + np.searchsorted(bounds, (rank + 0.5) / len(utilities), side="right").astype(np.int64)


def draw_timestamps(
    rng: np.random.Generator, user: NDArray[np.int64], n_users: int, is_new: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Unix timestamps (N,) in seconds over two years, no two alike for one user.

    ``is_new`` (N,) marks the interactions with new items. Users come and go: each shops in a window of their
    own, mostly in the evening; new items sell in the last weeks, to anyone.
    """
    first = rng.uniform(0, 0.7, size=n_users)
    last = first + (1 - first) * rng.uniform(0.3, 1.0, size=n_users)
    at = rng.uniform(first[user], last[user])
    fresh = rng.uniform(1 - NEW_DAYS / DAYS, 1, size=len(user))
    day = np.floor(np.where(is_new, fresh, at) * DAYS).astype(np.int64)
    hour = rng.triangular(7, 20, 24, size=len(user))
    moment = START + day * DAY + np.floor(hour * 3600).astype(np.int64)

    # Within a user, push a tie on by a second: a running maximum of (time - position) does so for all users
    # at once, as each user is moved a century away from the one before.
    order = np.lexsort((moment, user))
    away = user[order] * (100 * 365 * DAY) - np.arange(len(user))
    moment[order] = np.maximum.accumulate(moment[order] + away) - away
    return moment
