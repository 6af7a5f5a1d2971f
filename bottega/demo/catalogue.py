"""The demo catalogue: a small shop drawn from a seed, with planted taste that tests can hold models against.

What is recoverable from what:

- Colour, shape and pattern from the picture only; material, style and occasion from the text only; the
  category from either, though no taste depends on it. All attributes are independent of one another.
- The taste of a user is linear in the one-hot attributes, and so in any feature that shows them linearly.
- The popularity of an item from interactions only: no picture and no text shows it.
- Interactions alone (collaborative filtering) also know the taste as far as tastes are shared, within circles
  and by chance; of new items, with at most three interactions, all in the last weeks, they know nothing.
- The best possible scorer is ``utility(catalogue, users, ("visual", "textual", "popularity"))``. The noise is
  a whim for each pair, fixed but unknowable, and each choice is random besides (a softmax of the given
  temperature), so even that scorer is far from perfect.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .attributes import VOCABULARIES
from .choices import FLOOR, NEW_MOST, choose, draw_ratings, draw_timestamps
from .taste import TERMS, draw_popularity, draw_tastes, utility

# One stream of random numbers for each step, so that changing one step leaves the others as they were.
_ITEMS, _TASTES, _NEW, _CHOICES, _RATINGS, _TIMES = range(1, 7)


@dataclass(frozen=True)
class CatalogueSpec:
    """Everything the demo catalogue depends on: the same spec gives the same files.

    ``visual``, ``textual``, ``popularity`` and ``noise`` are shares of the variance of the utility;
    ``new_items`` is a share of the items; ``temperature`` is that of the softmax by which users choose, in
    standard deviations of the utility; ``picture_size`` is in pixels, each way.
    """

    n_items: int = 800
    n_users: int = 1500
    n_interactions: int = 20_000
    visual: float = 0.4
    textual: float = 0.3
    popularity: float = 0.2
    noise: float = 0.1
    new_items: float = 0.05
    temperature: float = 0.25
    picture_size: int = 96
    seed: int = 7

    def __post_init__(self) -> None:
        shares = [getattr(self, term) for term in TERMS]
        if min(shares) < 0 or not abs(sum(shares) - 1) < 1e-9:  # so written, NaN fails too
            raise ValueError(f"the shares {TERMS} must be non-negative and sum to 1, not {shares}")
        if not 0 <= self.new_items <= 0.5:
            raise ValueError(f"new_items must be a share between 0 and 0.5, not {self.new_items}")
        if not self.temperature > 0:
            raise ValueError(f"temperature must be positive, not {self.temperature}")
        if self.picture_size < 16:
            raise ValueError(f"picture_size must be at least 16 pixels, not {self.picture_size}")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, not {self.seed}")
        regular = self.n_items - self.n_new
        if regular < 2 * FLOOR or self.n_users < 2 * FLOOR:
            raise ValueError(f"at least {2 * FLOOR} users and {2 * FLOOR} items that are not new are needed")
        least = FLOOR * max(self.n_users, regular) + NEW_MOST * self.n_new
        most = self.n_users * (regular // 2)
        if not least <= self.n_interactions <= most:
            raise ValueError(f"n_interactions must be between {least} and {most}, not {self.n_interactions}")

    @property
    def n_new(self) -> int:
        """Number of new items."""
        return round(self.new_items * self.n_items)


@dataclass(frozen=True)
class Catalogue:
    """The shop and the truth behind it, for I items, U users and N interactions in order of time."""

    spec: CatalogueSpec
    item_ids: tuple[str, ...]
    user_ids: tuple[str, ...]
    attributes: dict[str, NDArray[np.int64]]
    """Attribute name -> (I,), an index into its vocabulary."""
    vocabularies: dict[str, tuple[str, ...]]
    """Attribute name -> its values."""
    tastes: dict[str, NDArray[np.float64]]
    """Attribute name -> (U, values), the users' leanings; none for the category."""
    popularity: NDArray[np.float64]
    """(I,), standardised appeal to everyone."""
    new: NDArray[np.bool_]
    """(I,), whether the item has just arrived."""
    user: NDArray[np.int64]
    """(N,), index of the user of each interaction."""
    item: NDArray[np.int64]
    """(N,), index of the item."""
    rating: NDArray[np.int64]
    """(N,), 1 to 5."""
    timestamp: NDArray[np.int64]
    """(N,), unix time in seconds."""


def draw(spec: CatalogueSpec) -> Catalogue:
    """Draw a catalogue: pure, and the same for the same spec. Holds a few (U, I) arrays in memory."""
    items = _stream(spec, _ITEMS)
    attributes = {name: items.integers(len(values), size=spec.n_items) for name, values in VOCABULARIES.items()}
    popularity = draw_popularity(items, spec.n_items)
    new = np.zeros(spec.n_items, dtype=bool)
    new[_stream(spec, _NEW).permutation(spec.n_items)[: spec.n_new]] = True

    none = np.empty(0, dtype=np.int64)
    shop = Catalogue(
        spec=spec,
        item_ids=_names("i", spec.n_items),
        user_ids=_names("u", spec.n_users),
        attributes=attributes,
        vocabularies=dict(VOCABULARIES),
        tastes=draw_tastes(_stream(spec, _TASTES), spec.n_users),
        popularity=popularity,
        new=new,
        user=none,
        item=none,
        rating=none,
        timestamp=none,
    )
    utilities = utility(shop)
    chosen = choose(_stream(spec, _CHOICES), utilities, new, spec.n_interactions, spec.temperature)
    user, item = np.nonzero(chosen)
    rating = draw_ratings(_stream(spec, _RATINGS), utilities[user, item])
    timestamp = draw_timestamps(_stream(spec, _TIMES), user, spec.n_users, new[item])
    order = np.lexsort((user, timestamp))
    return replace(shop, user=user[order], item=item[order], rating=rating[order], timestamp=timestamp[order])


def _stream(spec: CatalogueSpec, step: int) -> np.random.Generator:
    return np.random.default_rng([spec.seed, step])


def _names(prefix: str, count: int) -> tuple[str, ...]:
    """Ids of one width, so that they sort as text in the order of the indices."""
    width = max(4, len(str(count)))
    return tuple(f"{prefix}{number:0{width}d}" for number in range(1, count + 1))
