"""Resampling users and replicates: bootstrap means and sign flips.

Both are linear in the values: a resample of the users is a count for each of them, so the resampled mean of a
difference is the difference of two resampled means. Every model is resampled once, not every pair, by a matrix product,
and all models and metrics share the draws of users. Draws come in blocks, which bounds memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000
_BLOCK = 2**22  # draws held at a time


@dataclass(frozen=True)
class Resampled:
    """Bootstrap means of a model, (R, M) each: users drawn with replacement, and users and replicates both.

    With a single replicate the two are the same array.
    """

    users: np.ndarray
    both: np.ndarray


def bootstrap_means(
    values: Mapping[str, np.ndarray], seed: int = 0, resamples: int = RESAMPLES
) -> dict[str, Resampled]:
    """Means of resampled values, for every model.

    Users are drawn jointly for all models (a paired bootstrap). Replicates are drawn apart for every model, by its
    name, so that neither the order of the models nor the presence of a third one changes a pair; and independently of
    the users, since all replicates are judged on the same users (the pigeonhole bootstrap). Of S replicates S - 1 are
    drawn: S draws would understate their variance by the factor (S - 1) / S.

    Parameters
    ----------
    values : model -> (S, E, M).

    Sources: Owen, "The pigeonhole bootstrap", Annals of Applied Statistics, 2007; Rao and Wu, "Resampling inference
    with complex survey data", Journal of the American Statistical Association, 1988.
    """
    generator = np.random.default_rng(seed)
    _, size, metrics = next(iter(values.values())).shape
    shares = {name: _shares(len(array), name, seed, resamples) for name, array in values.items()}
    found = {}
    for name, array in values.items():
        users = np.empty((resamples, metrics))
        found[name] = Resampled(users, users if len(array) == 1 else np.empty_like(users))
    for block in _blocks(size, resamples):
        count = block.stop - block.start
        drawn = generator.integers(0, size, size=(count, size)) + size * np.arange(count)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=count * size).reshape(count, size) / size
        for name, array in values.items():
            means = weights @ array  # (S, B, M)
            found[name].users[block] = means.mean(axis=0)
            if len(array) > 1:
                found[name].both[block] = np.einsum("bs,sbm->bm", shares[name][block], means)
    return found


def sign_flip_means(
    values: Mapping[str, np.ndarray], seed: int = 0, resamples: int = RESAMPLES
) -> dict[str, np.ndarray]:
    """Means of the values (E, M) of every model under random signs of the users, the same for all models: (R, M)."""
    generator = np.random.default_rng(seed)
    size, metrics = next(iter(values.values())).shape
    width = (size + 7) // 8
    means = {name: np.empty((resamples, metrics)) for name in values}
    for block in _blocks(size, resamples):
        count = block.stop - block.start
        packed = np.frombuffer(generator.bytes(count * width), dtype=np.uint8).reshape(count, width)
        signs = np.unpackbits(packed, axis=1, count=size) * 2.0 - 1
        for name, array in values.items():
            means[name][block] = signs @ array / size
    return means


def share_beyond(null: np.ndarray, observed: np.ndarray, slack: np.ndarray | float) -> np.ndarray:
    """Two-sided p-values (M,): the share of the null draws (R, M) at least as far from 0 as what was observed (M,).

    The observation counts as one of the draws, so p is at least 1 / (R + 1). `slack` is what rounding may take.
    """
    beyond = (np.abs(null) >= np.abs(observed) - slack).sum(axis=0)
    return np.asarray((beyond + 1) / (len(null) + 1))


def _shares(replicates: int, name: str, seed: int, resamples: int) -> np.ndarray:
    """Weights (R, S) of the replicates in every resample; rows sum to 1."""
    if replicates == 1:
        return np.ones((resamples, 1))
    drawn = replicates - 1
    generator = np.random.default_rng([seed, *name.encode("utf-8", errors="surrogatepass")])
    return generator.multinomial(drawn, np.full(replicates, 1 / replicates), size=resamples) / drawn


def _blocks(size: int, resamples: int) -> Iterator[slice]:
    """The resamples in runs that hold a bounded number of draws of `size` users each."""
    step = max(1, _BLOCK // size)
    for start in range(0, resamples, step):
        yield slice(start, min(start + step, resamples))
