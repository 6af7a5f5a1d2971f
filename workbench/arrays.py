"""Distinct values and orders of long integer arrays, in linear time.

`np.unique` hashes or sorts, and is far slower; numpy's own stable sort is a radix sort for 16 bits only.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def used_codes(codes: np.ndarray) -> np.ndarray:
    """The distinct values of codes (T,), integers from 0, ascending."""
    return np.flatnonzero(np.bincount(codes))


def stable_argsort(codes: np.ndarray) -> np.ndarray:
    """`np.argsort(codes, kind="stable")` of integers from 0 (T,), in linear time: 16 bits at a time."""
    order = np.argsort(codes.astype(np.uint16), kind="stable")
    shift, largest = 16, int(codes.max(initial=0))
    while largest >> shift:
        order = order[np.argsort((codes[order] >> shift).astype(np.uint16), kind="stable")]
        shift += 16
    return order


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
