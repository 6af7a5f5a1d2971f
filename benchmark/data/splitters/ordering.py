"""Orders of rows that do not depend on the file, places within users, and the rounding of shares."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from benchmark.data.interactions import Interactions
from workbench.arrays import stable_argsort


def canonical_order(interactions: Interactions) -> np.ndarray:
    """(T,) positions of the rows by user id, item id, timestamp and rating: the same rows whatever the file's order."""
    pairs = interactions.users * len(interactions.item_ids) + interactions.items
    order = stable_argsort(pairs)
    if (pairs[order[1:]] > pairs[order[:-1]]).all():
        return order
    times = np.zeros(len(pairs)) if interactions.timestamps is None else interactions.timestamps
    return np.lexsort((interactions.ratings, times, pairs))


def row_counts(groups: np.ndarray) -> np.ndarray:
    """(T,) number of rows in each row's group (its user or its item)."""
    return np.bincount(groups)[groups]


def places_within(groups: np.ndarray, order: np.ndarray) -> np.ndarray:
    """(T,) place of each row within its group, from 0; `order` (T,) sorts rows by group, then in the order to count."""
    counts = np.bincount(groups)
    places = np.empty(len(groups), dtype=np.int64)
    places[order] = np.arange(len(groups)) - np.repeat(np.cumsum(counts) - counts, counts)
    return places


def drawn_keys(interactions: Interactions, generator: np.random.Generator) -> np.ndarray:
    """(T,) a uniform number for each row, drawn over the rows in canonical order."""
    keys = np.empty(len(interactions))
    keys[canonical_order(interactions)] = generator.random(len(interactions))
    return keys


def drawn_places(interactions: Interactions, generator: np.random.Generator) -> np.ndarray:
    """(T,) place of each row in a random order of its user's rows, from 0."""
    order = np.lexsort((drawn_keys(interactions, generator), interactions.users))
    return places_within(interactions.users, order)


def kept_rows(counts: np.ndarray, test_ratio: float | None, leave_n_out: int | None) -> np.ndarray:
    """Training rows of users with `counts` rows: floor(count (1 - ratio)), exactly, or all but n of them."""
    if leave_n_out is not None:
        return np.maximum(counts - leave_n_out, 0)
    assert test_ratio is not None
    return counts + share_of(-counts, test_ratio)


def shorter(test_ratio: float | None, leave_n_out: int | None) -> str:
    """What to change where a share, or a number, of each user's rows leaves a part empty."""
    key = "test_ratio" if leave_n_out is None else "leave_n_out"
    return (
        f"bring users with more interactions (prefiltering: user_k_core), or lower `{key}` (here "
        f"{test_ratio if leave_n_out is None else leave_n_out})"
    )


def share_of(counts: np.ndarray, share: float) -> np.ndarray:
    """floor(share x count), the share taken as the decimal that was written (nine digits), so that .2 x 5 is 1."""
    exact = Fraction(str(share)).limit_denominator(10**9)
    return np.asarray(counts) * exact.numerator // exact.denominator


def number_of(total: int, given: float) -> int:
    """A number of users or items as it was given: below 1 a share of all, floor(share x total), else the number."""
    return int(share_of(np.array(total), given)) if given < 1 else int(given)
