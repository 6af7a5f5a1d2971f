"""Prefilters against literal loops over rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.config import read_split_config
from benchmark.data.interactions import Interactions, read_interactions
from benchmark.data.prefilters import ColdUsers, GlobalThreshold, KCore, Prefilter, UserAverage, apply_prefilters
from workbench.errors import UserError

PAIRS = st.sets(st.tuples(st.integers(0, 8), st.integers(0, 6)), min_size=1, max_size=40)


def interactions(pairs: list[tuple[int, int]], ratings: list[float] | None = None) -> Interactions:
    users, items = (np.array(column, dtype=np.int64) for column in zip(*pairs, strict=True))
    names = np.array([f"n{number}" for number in range(10)], dtype=object)
    values = np.ones(len(pairs)) if ratings is None else np.array(ratings, dtype=float)
    return Interactions(users, items, names, names, values, None, None)


def survivors(pairs: list[tuple[int, int]], user_core: int, item_core: int, rounds: int) -> set[tuple[int, int]]:
    """Users first, then items among what is left; `rounds` times."""
    left = list(pairs)
    for _ in range(rounds):
        per_user = Counter(user for user, _ in left)
        left = [pair for pair in left if per_user[pair[0]] >= user_core]
        per_item = Counter(item for _, item in left)
        left = [pair for pair in left if per_item[pair[1]] >= item_core]
    return set(left)


@given(PAIRS, st.integers(1, 3), st.integers(1, 3), st.integers(1, 4))
def test_k_core_rounds_equal_a_loop_over_rows(
    pairs: set[tuple[int, int]], user_core: int, item_core: int, rounds: int
) -> None:
    ordered = sorted(pairs)
    kept = KCore(user_core, item_core, rounds).kept(interactions(ordered))
    expected = survivors(ordered, user_core, item_core, rounds)
    assert {pair for pair, stays in zip(ordered, kept, strict=True) if stays} == expected


@given(PAIRS, st.integers(1, 3))
def test_an_iterated_core_is_where_the_rounds_no_longer_change_anything(pairs: set[tuple[int, int]], core: int) -> None:
    ordered = sorted(pairs)
    kept = KCore(core, core, None).kept(interactions(ordered))
    expected = survivors(ordered, core, core, rounds=len(ordered) + 1)
    assert {pair for pair, stays in zip(ordered, kept, strict=True) if stays} == expected


def test_ratings_are_kept_from_a_threshold_the_global_mean_or_the_mean_of_their_user() -> None:
    data = interactions([(0, 0), (0, 1), (1, 0), (1, 2)], [5, 3, 2, 2])
    assert GlobalThreshold(3).kept(data).tolist() == [True, True, False, False]
    assert GlobalThreshold("average").kept(data).tolist() == [True, True, False, False]  # the mean is 3
    assert UserAverage().kept(data).tolist() == [True, False, True, True]


def test_cold_users_are_those_with_few_rows() -> None:
    data = interactions([(0, 0), (0, 1), (0, 2), (1, 0)])
    assert ColdUsers(2).kept(data).tolist() == [False, False, False, True]


def test_prefilters_follow_one_another_and_tell_what_they_did(log: list[str]) -> None:
    data = interactions([(0, 0), (0, 1), (1, 0), (2, 3)], [5, 5, 5, 1])
    left = apply_prefilters(data, [("global_threshold", GlobalThreshold(2)), ("user_k_core", KCore(2, 1))])
    assert list(zip(left.users, left.items, strict=True)) == [(0, 0), (0, 1)]
    assert any("4 interactions of 3 users" in line and "3 interactions of 2 users" in line for line in log)


@pytest.mark.parametrize(
    ("name", "prefilter", "remedy"),
    [
        ("iterative_k_core", KCore(5, 5, None), "lower its `core`"),
        ("global_threshold", GlobalThreshold(3), "lower its `threshold`"),
        ("cold_users", ColdUsers(0), "raise its `threshold`"),
    ],
)
def test_a_prefilter_that_leaves_nothing_is_refused(name: str, prefilter: Prefilter, remedy: str) -> None:
    with pytest.raises(UserError, match=f"{name} left no interaction") as caught:
        apply_prefilters(interactions([(0, 0)]), [(name, prefilter)])
    assert remedy in str(caught.value.mend)


def test_the_block_of_a_file_is_read_in_order_and_its_slips_are_named(tmp_path: Path) -> None:
    file = tmp_path / "split.yml"
    body = """experiment:
  prefiltering: {block}
  splitting:
    test_splitting: {{strategy: temporal_hold_out, leave_n_out: 1}}
    validation_splitting: {{strategy: temporal_hold_out, test_ratio: 0.1}}
"""
    file.write_text(body.format(block="[{strategy: global_threshold, threshold: 3}, {strategy: item_k_core, core: 2}]"))
    settings = read_split_config("shop", file)
    assert [name for name, _ in settings.prefilters] == ["global_threshold", "item_k_core"]
    assert settings.prefilters[0][1] == GlobalThreshold(3)
    assert settings.prefilters[1][1] == KCore(1, 2, 1)
    file.write_text(body.format(block="{strategy: n_rounds_k_core, core: 5}"))
    with pytest.raises(UserError, match="n_rounds_k_core takes core and rounds, given: core"):
        read_split_config("shop", file)


@pytest.mark.realdata
def test_a_core_of_the_films_has_its_rows_on_both_sides(real_data: Callable[[str], Path]) -> None:
    reviews = real_data("movies") / "reviews.tsv"
    data = read_interactions(reviews)
    left = data.select(KCore(20, 20, None).kept(data))
    assert 0 < len(left) < len(data)
    assert min(Counter(left.users.tolist()).values()) >= 20
    assert min(Counter(left.items.tolist()).values()) >= 20
