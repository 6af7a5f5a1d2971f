"""Distinct codes, against numpy's and Python's own."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from workbench.arrays import first_appearance, stable_argsort, used_codes


@given(st.lists(st.integers(0, 30)))
def test_distinct_codes_ascending_and_in_the_order_of_first_appearance(values: list[int]) -> None:
    codes = np.array(values, dtype=np.int64)
    assert used_codes(codes).tolist() == np.unique(codes).tolist()
    assert first_appearance(codes).tolist() == list(dict.fromkeys(values))


@given(st.lists(st.integers(0, 2**62) | st.integers(0, 70_000)), st.booleans())
def test_the_radix_sort_is_the_stable_sort(values: list[int], few: bool) -> None:
    codes = np.array(values, dtype=np.int64) % (5 if few else 2**62)
    assert stable_argsort(codes).tolist() == np.argsort(codes, kind="stable").tolist()
