"""A split as integer arrays: universe, order, CSR."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bench_cases import Row, interactions, random_reviews
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.data.dataset import Candidates, Csr, Dataset, build_dataset
from benchmark.data.splitters import Parts
from workbench.errors import UserError

TRAIN = [("u2", "c", 5), ("u1", "a", 4), ("u2", "a", 3), ("u3", "b", 2)]
VALIDATION = [("u1", "new", 1), ("u2", "b", 2)]
TEST = [("u3", "a", 5), ("stranger", "a", 1), ("u3", "late", 4), ("u1", "c", 3), ("u1", "new", 2)]


def built(
    folder: Path, *parts: Sequence[Row] | None, binarize: bool = False, candidates: Candidates = "train"
) -> Dataset:
    read = [None if rows is None else interactions(folder, rows) for rows in parts]
    assert read[0] is not None and read[2] is not None
    return build_dataset(Parts(read[0], read[1], read[2]), binarize, candidates)


def rows_of(dataset: Dataset, part: Csr | None) -> set[Row]:
    assert part is not None
    return {
        (dataset.user_ids[user], dataset.item_ids[item], float(value))
        for user, item, value in zip(part.users.tolist(), part.items.tolist(), part.values.tolist(), strict=True)
    }


def test_users_and_items_are_those_of_training_in_the_order_in_which_they_first_stand_there(tmp_path: Path) -> None:
    dataset = built(tmp_path, TRAIN, VALIDATION, TEST)
    assert list(dataset.user_ids) == ["u2", "u1", "u3"]
    assert list(dataset.item_ids) == ["c", "a", "b", "new", "late"]
    assert (dataset.n_users, dataset.n_items) == (3, 3)


def test_held_out_rows_of_unknown_items_stay_and_those_of_unknown_users_go(tmp_path: Path) -> None:
    dataset = built(tmp_path, TRAIN, VALIDATION, TEST)
    assert rows_of(dataset, dataset.test) == {row for row in TEST if row[0] != "stranger"}
    assert rows_of(dataset, dataset.validation) == set(VALIDATION)
    assert rows_of(dataset, dataset.train) == set(TRAIN)


def test_all_items_can_be_candidates_and_keep_their_numbers(tmp_path: Path) -> None:
    few, many = (built(tmp_path, TRAIN, VALIDATION, TEST, candidates=which) for which in ("train", "all"))
    assert list(many.item_ids) == list(few.item_ids)
    assert (few.n_items, many.n_items) == (3, 5)
    few_counts, many_counts = (np.bincount(each.train.items, minlength=each.n_items) for each in (few, many))
    assert many_counts.tolist() == [*few_counts.tolist(), 0, 0]
    assert few.fingerprint() != many.fingerprint()


def test_users_who_are_only_shown_are_numbered_after_those_who_train(tmp_path: Path) -> None:
    parts = Parts(
        *(interactions(tmp_path, rows) for rows in (TRAIN, [("v", "a", 1)], [("t", "b", 2), ("nobody", "a", 1)])),
        validation_input=interactions(tmp_path, [("v", "c", 1)]),
        test_input=interactions(tmp_path, [("t", "c", 1), ("t", "only shown", 1)]),
    )
    dataset = build_dataset(parts)
    assert list(dataset.user_ids) == ["u2", "u1", "u3", "v", "t"]
    assert list(dataset.item_ids) == ["c", "a", "b", "only shown"] and dataset.n_items == 3
    assert rows_of(dataset, dataset.test) == {("t", "b", 2.0)}
    assert rows_of(dataset, dataset.test_input) == {("t", "c", 1.0), ("t", "only shown", 1.0)}
    assert dataset.train.counts.tolist()[3:] == [0, 0]
    bare = replace(dataset, test_input=None)
    assert bare.fingerprint() != dataset.fingerprint()


def test_a_part_whose_users_are_all_unknown_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the test split has no row of a user that stands in training"):
        built(tmp_path, TRAIN, VALIDATION, [("x", "a", 1)])


def test_binarize_makes_every_rating_one(tmp_path: Path) -> None:
    dataset = built(tmp_path, TRAIN, None, TEST, binarize=True)
    assert dataset.validation is None
    assert set(dataset.test.values.tolist()) == set(dataset.train.values.tolist()) == {1.0}


@settings(max_examples=50)
@given(st.dictionaries(st.tuples(st.integers(0, 7), st.integers(0, 9)), st.integers(1, 5), min_size=1), st.randoms())
def test_csr_holds_every_row_ascending_within_its_user(pairs: dict[tuple[int, int], int], random: object) -> None:
    rows = [(user, item, value) for (user, item), value in pairs.items()]
    random.shuffle(rows)  # type: ignore[attr-defined]
    users, items, values = (np.array(column) for column in zip(*rows, strict=True))
    built_ = Csr.build(users, items, values, 8)
    assert len(built_.indptr) == 9
    for user in range(8):
        start, end = built_.indptr[user], built_.indptr[user + 1]
        expected = sorted((item, value) for (owner, item), value in pairs.items() if owner == user)
        assert list(zip(built_.items[start:end].tolist(), built_.values[start:end].tolist(), strict=True)) == expected
        assert built_.counts[user] == len(expected)
    assert built_.users.tolist() == sorted(users.tolist())
    assert (built_.indptr.dtype, built_.items.dtype, built_.values.dtype) == (np.int64, np.int64, np.float32)


def test_the_fingerprint_tells_apart_whatever_differs(tmp_path: Path) -> None:
    rows = [tuple(row[:3]) for row in random_reviews(0)]
    train, validation, test = rows[:200], rows[200:260], rows[260:]
    plain = built(tmp_path, train, validation, test)
    variants = [
        built(tmp_path, train, validation, test, binarize=True),
        built(tmp_path, train, None, test),
        built(tmp_path, train, validation[:-1], test),
        built(tmp_path, train, validation, test[:-1]),
        built(tmp_path, train[::-1], validation, test),
        built(
            tmp_path, [("renamed" if row[0] == train[0][0] else row[0], *row[1:]) for row in train], validation, test
        ),
        built(tmp_path, [(*train[0][:2], 6 - int(train[0][2]) + 0.5), *train[1:]], validation, test),
    ]
    prints = [each.fingerprint() for each in variants]
    assert len({plain.fingerprint(), *prints}) == len(variants) + 1
    assert built(tmp_path, train, validation, test).fingerprint() == plain.fingerprint()
