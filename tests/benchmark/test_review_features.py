"""Reviews as item features: the mean over training pairs, and never a word of a held-out one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench_cases import interactions
from hypothesis import given, settings
from hypothesis import strategies as st
from support import write_table

from benchmark.data.dataset import Dataset, build_dataset
from benchmark.data.modalities import Reviews, held_out_reviews, open_source
from benchmark.data.modalities.reviews import pair_rows
from benchmark.data.splitters import Parts
from workbench.errors import UserError
from workbench.pairs import pair_id

TRAIN = [("u_", "a"), ("u_", "_b"), ("v", "a"), ("w%", "c__d"), ("w%", "a")]
VALIDATION = [("v", "_b")]
TEST = [("u_", "c__d"), ("v", "e"), ("v", "a")]  # the last stands in training, too
halves = st.text(st.sampled_from("_%5Fa"), min_size=1, max_size=5)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    rows = {"train": TRAIN, "validation": VALIDATION, "test": TEST}
    return build_dataset(Parts(*(interactions(tmp_path / name, rows[name]) for name in rows)))


def reviews(folder: Path, dataset: Dataset, pairs: list[tuple[str, str]], values: np.ndarray) -> Reviews:
    write_table(folder / "layer", [pair_id(*pair) for pair in pairs], values)
    return Reviews(open_source(folder / "layer"), dataset.user_ids, dataset.item_ids, dataset.train)


def draw(count: int) -> np.ndarray:
    return np.random.default_rng(count).standard_normal((count, 4)).astype(np.float32)


@given(st.lists(st.tuples(halves, halves), unique=True, min_size=1), st.lists(st.tuples(halves, halves), min_size=1))
@settings(max_examples=200, deadline=None)
def test_a_pair_is_found_by_the_id_that_the_extractor_gives_it(
    table: list[tuple[str, str]], wanted: list[tuple[str, str]]
) -> None:
    users, items = (sorted({pair[half] for pair in wanted}) for half in (0, 1))
    codes = [np.array([known.index(pair[half]) for pair in wanted]) for half, known in ((0, users), (1, items))]
    ids = [None, "no pair", *(pair_id(*pair) for pair in table)]
    expected = [table.index(pair) + 2 if pair in table else -1 for pair in wanted]
    assert pair_rows(ids, *codes, users, items).tolist() == expected


@pytest.mark.parametrize("block", [1, 9, 1 << 22])
def test_an_item_is_the_mean_of_its_training_reviews(
    tmp_path: Path, dataset: Dataset, log: list[str], monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr("benchmark.data.modalities.reviews._BLOCK_VALUES", block)
    pairs = [*TEST[:2], *TRAIN, *VALIDATION, ("stranger", "a")]
    pairs.remove(("u_", "_b"))  # a training pair without a review
    values = draw(len(pairs))
    source = reviews(tmp_path, dataset, pairs, values)
    items = dataset.item_ids[: dataset.n_items][::-1]
    found, present = source.gather(items)
    for item, row, there in zip(items, found, present, strict=True):
        own = [values[pairs.index(pair)].astype(float) for pair in TRAIN if pair[1] == item and pair in pairs]
        np.testing.assert_allclose(row, sum(own) / len(own) if own else np.zeros(4), rtol=1e-6)
        assert there == bool(own)
    assert source.has(items).tolist() == present.tolist() == [True, False, True]
    assert log[-1].endswith("4 training reviews are averaged into 2 items; the other 4 rows are not read")


def test_no_held_out_review_changes_a_feature(tmp_path: Path, dataset: Dataset) -> None:
    pairs = [*TRAIN, *VALIDATION, *TEST[:2]]
    values = draw(len(pairs))
    other = values.copy()
    other[len(TRAIN) :] = np.nan
    items = dataset.item_ids[: dataset.n_items]
    found, _ = reviews(tmp_path / "one", dataset, pairs, values).gather(items)
    (tmp_path / "two").mkdir()
    for pair, row in zip(pairs, other, strict=True):
        np.save(tmp_path / "two" / f"{pair_id(*pair).replace('%', '%25')}.npy", row)
    changed = Reviews(open_source(tmp_path / "two"), dataset.user_ids, dataset.item_ids, dataset.train)
    np.testing.assert_array_equal(changed.gather(items)[0], found)


def test_a_broken_training_review_is_refused_by_its_id(tmp_path: Path, dataset: Dataset) -> None:
    np.save(tmp_path / "v__a.npy", np.array([1.0, np.inf]))
    source = Reviews(open_source(tmp_path), dataset.user_ids, dataset.item_ids, dataset.train)
    with pytest.raises(UserError, match="the review 'v__a' has NaN"):
        source.gather(dataset.item_ids)


@pytest.mark.parametrize(
    ("pairs", "count"),
    [
        ([*TRAIN, *VALIDATION, *TEST], 3),  # a pair that also stands in training is not held out
        (TRAIN, 0),
        ([("u_", "c__d"), ("stranger", "e")], 1),
    ],
)
def test_reviews_of_held_out_pairs_are_counted(dataset: Dataset, pairs: list[Any], count: int) -> None:
    ids = list(dict.fromkeys(pair_id(*pair) for pair in pairs))
    assert held_out_reviews([None, *ids, "x"], dataset) == count
