"""Distinct values of long integer arrays, in linear time (`np.unique` hashes or sorts, and is far slower)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def used_codes(codes: np.ndarray) -> np.ndarray:
    """The distinct values of codes (T,), integers from 0, ascending."""
    return np.flatnonzero(np.bincount(codes))


def first_appearance(codes: np.ndarray) -> np.ndarray:
    """The distinct values of codes (T,), integers from 0, in the order in which they first stand."""
    first = np.full(int(codes.max(initial=-1)) + 1, len(codes))
    first[codes[::-1]] = np.arange(len(codes))[
        ::-1
    ]  # of several places of a code the last one written stays: the first
    used = np.flatnonzero(first < len(codes))
    return used[np.argsort(first[used], kind="stable")]


def number_ids(columns: Iterable[tuple[np.ndarray, np.ndarray]]) -> dict[str, int]:
    """Raw id -> number, in the order in which ids first stand in several columns, each of ids (N,) and codes (T,)."""
    numbers: dict[str, int] = {}
    for ids, codes in columns:
        for identifier in ids[first_appearance(codes)]:
            numbers.setdefault(identifier, len(numbers))
    return numbers
