"""Tastes, popularity and the utility that every choice in the demo shop follows.

The utility of item i for user u is a sum of four terms,

    sqrt(visual) V[u, i] + sqrt(textual) T[u, i] + sqrt(popularity) P[i] + sqrt(noise) N[u, i],

where V, T and N have mean 0 and variance 1 over the items of each user, and P over the items. The terms are
uncorrelated but for chance, so the four shares of the spec are the shares of the variance of the utility.
V and T are linear in the one-hot attributes of an item, which is what a factor model over features can learn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .attributes import TEXTUAL, VISUAL

if TYPE_CHECKING:
    from .catalogue import Catalogue

TERMS = ("visual", "textual", "popularity", "noise")

# Circles of like-minded users, per modality: what one of them takes tells something of the others.
CIRCLES = 16
# What a user owes to the circle and what is the user's own, as shares of the variance of the taste.
CIRCLE_SHARE = 0.2
# A gamma of small shape is near zero but for a few values: a circle, and a user, loves few values.
SPARSITY = 0.1

# Noise is drawn by rows of this many users, so that any block of users gives the same values.
_NOISE_ROWS = 256
_NOISE_STREAM = 99


def draw_tastes(rng: np.random.Generator, n_users: int) -> dict[str, NDArray[np.float64]]:
    """Weights of every user over the values of each attribute: name -> (U, V), mean 0 and variance 1 per row.

    A user belongs to one visual and, independently, to one textual circle, and adds a leaning of their own.
    """
    tastes: dict[str, NDArray[np.float64]] = {}
    for attributes in (VISUAL, TEXTUAL):
        circle = rng.integers(CIRCLES, size=n_users)
        for name, values in attributes.items():
            shared = _standard_rows(rng.gamma(SPARSITY, size=(CIRCLES, len(values))))
            own = _standard_rows(rng.gamma(SPARSITY, size=(n_users, len(values))))
            tastes[name] = _standard_rows(np.sqrt(CIRCLE_SHARE) * shared[circle] + np.sqrt(1 - CIRCLE_SHARE) * own)
    return tastes


def draw_popularity(rng: np.random.Generator, n_items: int) -> NDArray[np.float64]:
    """Appeal of every item to everyone, (I,), mean 0 and variance 1.

    Appeal enters the choice through an exponential, so a normal variate makes a log-normal one: a long tail.
    """
    appeal = rng.standard_normal((1, n_items))
    return _standard_rows(appeal)[0]


def utility(
    catalogue: Catalogue, users: NDArray[np.integer] | None = None, terms: Iterable[str] = TERMS
) -> NDArray[np.float64]:
    """True utility (B, I) of all items for a block of users (all by default), as the sum of the given terms.

    Every term is scaled by the square root of its share. ``("visual", "textual", "popularity")`` is the best
    scorer that any recommender can hope for, as the noise is nobody's to know.
    """
    wanted = tuple(terms)
    unknown = set(wanted) - set(TERMS)
    if unknown:
        raise ValueError(f"unknown terms {sorted(unknown)}, choose from {TERMS}")
    rows = np.arange(catalogue.spec.n_users) if users is None else np.asarray(users)
    total = np.zeros((len(rows), catalogue.spec.n_items))
    for term in wanted:
        total += np.sqrt(getattr(catalogue.spec, term)) * _term(catalogue, rows, term)
    return total


def _term(catalogue: Catalogue, rows: NDArray[np.integer], term: str) -> NDArray[np.float64]:
    if term == "visual":
        return _match(catalogue, rows, VISUAL)
    if term == "textual":
        return _match(catalogue, rows, TEXTUAL)
    if term == "popularity":
        return np.broadcast_to(catalogue.popularity, (len(rows), catalogue.spec.n_items))
    return _noise(catalogue.spec.seed, rows, catalogue.spec.n_items)


def _match(
    catalogue: Catalogue, rows: NDArray[np.integer], attributes: Mapping[str, tuple[str, ...]]
) -> NDArray[np.float64]:
    """How well each item fits the users' tastes in some attributes: (B, I), standardised over the items."""
    fits = [catalogue.tastes[name][rows][:, catalogue.attributes[name]] for name in attributes]
    return _standard_rows(np.sum(fits, axis=0))


def _noise(seed: int, rows: NDArray[np.integer], n_items: int) -> NDArray[np.float64]:
    """A whim for every pair, (B, I), standard normal, the same whichever block of users is asked for."""
    noise = np.empty((len(rows), n_items))
    chunks = rows // _NOISE_ROWS
    for chunk in np.unique(chunks):
        inside = chunks == chunk
        rng = np.random.default_rng([seed, _NOISE_STREAM, int(chunk)])
        whims = rng.standard_normal((_NOISE_ROWS, n_items))
        noise[inside] = whims[rows[inside] % _NOISE_ROWS]
    return _standard_rows(noise)


def _standard_rows(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each row with mean 0 and variance 1; a constant row, which prefers nothing, becomes zero."""
    centred = values - values.mean(axis=1, keepdims=True)
    spread = centred.std(axis=1, keepdims=True)
    return np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 1e-12)
