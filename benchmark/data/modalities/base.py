"""What a modality is, and what an imputer is given and owes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from benchmark.data.dataset import Csr
from workbench.files import fingerprint

_BLOCK_VALUES = 1 << 22  # values worked on at a time in double precision: 32 MiB


@dataclass(frozen=True)
class Modality:
    """Features of one modality.

    Attributes
    ----------
    name : `visual`, `textual`, `audio`, or what a general loader calls it.
    features : (I, D) float32, row = item number.
    present : (I,) bool; False where no features were observed and the row holds what the `missing` policy put there.
    source : where the features were read.
    digest : hash of everything above but the source.
    """

    name: str
    features: np.ndarray
    present: np.ndarray
    source: str
    digest: str


@dataclass(frozen=True)
class Observed:
    """What an imputer is given.

    Attributes
    ----------
    values : (I, D) float32; zero where not present.
    present : (I,) bool, at least one True.
    train : the training part, for policies that ask the items' neighbours; held-out rows are never shown.
    generator : source of whatever is drawn.
    """

    values: np.ndarray
    present: np.ndarray
    train: Csr | None
    generator: np.random.Generator


class Imputer(Protocol):
    """A policy for items without features; `policy` is its name in an experiment file."""

    policy: ClassVar[str]

    def fill(self, observed: Observed) -> tuple[np.ndarray, int]:
        """Rows (A, D) for the A items that are not present, in their order, and how many of them got the mean of the
        observed rows because no neighbour with features is within reach."""


def draw(*purpose: str | int) -> np.random.Generator:
    """A generator that depends on a seed and on what is drawn, so that no two modalities share their noise."""
    return np.random.default_rng(int(fingerprint(list(purpose)), 16))


def column_blocks(values: np.ndarray) -> Iterator[slice]:
    """Slices over the columns of (I, D) such that a block in double precision stays small."""
    width = max(1, _BLOCK_VALUES // max(1, len(values)))
    for start in range(0, values.shape[1], width):
        yield slice(start, start + width)


def moments(values: np.ndarray, present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (both (D,) float64, divisor n) of the columns over the present rows.

    A column that holds one value only has deviation exactly 0: sums of up to 2^29 equal float32 are exact in float64.
    """
    mean, deviation = np.empty(values.shape[1]), np.empty(values.shape[1])
    for columns in column_blocks(values):
        block = values[present, columns].astype(np.float64)
        mean[columns], deviation[columns] = block.mean(axis=0), block.std(axis=0)
    return mean, deviation


def noise_like(values: np.ndarray, present: np.ndarray, rows: int, generator: np.random.Generator) -> np.ndarray:
    """Normal noise (rows, D), float32, with the mean and the standard deviation of every column's present rows."""
    mean, deviation = moments(values, present)
    noise = generator.standard_normal((rows, values.shape[1]), dtype=np.float32)
    noise *= deviation.astype(np.float32)
    noise += mean.astype(np.float32)
    return noise
