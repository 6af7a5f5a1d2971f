"""A table is written whole or not at all, and does not show in which order its rows came."""

from __future__ import annotations

import errno
import json
import os
import random
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import tree, write_table

from workbench.errors import UserError
from workbench.features import TableWriter, manifest_path, matrix_path, open_table
from workbench.files import escape_id, sha256_file

IDS = ["b", "a", "10", "9", "../x", "é🎬", ".dot"]
ROWS = np.random.default_rng(0).standard_normal((7, 5)).astype(np.float32)


def test_a_table_comes_back_as_it_was_written(tmp_path: Path) -> None:
    table = tmp_path / "torch" / "ResNet50" / "layer4.2"
    manifest = write_table(table, IDS, ROWS, recipe={"weights": "random"})
    read = open_table(table)
    assert list(read.ids) == IDS
    np.testing.assert_array_equal(read.matrix, ROWS)
    assert read.matrix.dtype == np.float32
    assert isinstance(read.matrix, np.memmap), "the matrix is not read into memory"
    assert read.manifest == manifest
    assert manifest["recipe"] == {"weights": "random"}
    assert (manifest["items"], manifest["dim"], manifest["dtype"]) == (7, 5, "float32")
    assert manifest["matrix_sha256"] == sha256_file(matrix_path(table))


@given(order=st.permutations(range(7)), batch=st.integers(1, 7), per_item=st.booleans())
def test_the_files_do_not_depend_on_order_or_batching(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], batch: int, per_item: bool
) -> None:
    plain, other = tmp_path_factory.mktemp("plain"), tmp_path_factory.mktemp("other")
    write_table(plain / "layer", IDS, ROWS, per_item=per_item)
    write_table(other / "layer", IDS, ROWS, order=order, batch=batch, per_item=per_item)
    assert tree(plain) == tree(other)


@given(kept=st.sets(st.integers(0, 6), min_size=1), seed=st.integers(0, 5))
def test_rows_that_never_came_are_closed_up(
    tmp_path_factory: pytest.TempPathFactory, kept: set[int], seed: int
) -> None:
    table = tmp_path_factory.mktemp("gaps") / "layer"
    order = sorted(kept)
    random.Random(seed).shuffle(order)
    manifest = write_table(table, IDS, ROWS, order=order, batch=2)
    read = open_table(table)
    assert list(read.ids) == [IDS[row] for row in sorted(kept)]
    np.testing.assert_array_equal(read.matrix, ROWS[sorted(kept)])
    assert manifest["items"] == len(kept)
    assert manifest["matrix_sha256"] == sha256_file(matrix_path(table))
    np.testing.assert_array_equal(np.load(matrix_path(table)), ROWS[sorted(kept)])


def test_more_rows_than_a_block_are_closed_up_too(tmp_path: Path) -> None:
    rows = np.arange(2 * 9001, dtype=np.float32).reshape(9001, 2)
    kept = [row for row in range(9001) if row % 3]
    write_table(tmp_path / "layer", [f"i{row}" for row in range(9001)], rows, order=kept, batch=999, per_item=False)
    np.testing.assert_array_equal(open_table(tmp_path / "layer").matrix, rows[kept])


def test_every_item_has_a_file_of_one_float32_row_equal_to_its_row_of_the_matrix(tmp_path: Path) -> None:
    write_table(tmp_path / "layer", IDS, ROWS, order=[6, 0, 3, 2, 4, 5], batch=4)
    files = {path.name for path in (tmp_path / "layer").iterdir()}
    assert files == {f"{escape_id(item)}.npy" for item in IDS if item != "a"}
    for item, row in zip(IDS, ROWS, strict=True):
        if item != "a":
            value = np.load(tmp_path / "layer" / f"{escape_id(item)}.npy")
            assert (value.shape, value.dtype) == ((1, 5), np.float32)
            np.testing.assert_array_equal(value[0], row)


def test_without_per_item_files_there_is_no_folder_and_files_of_earlier_are_removed(tmp_path: Path) -> None:
    table = tmp_path / "layer"
    write_table(table, IDS, ROWS)
    write_table(table, IDS, ROWS + 1, per_item=False)
    assert sorted(tree(tmp_path)) == ["layer.json", "layer.npy"]
    np.testing.assert_array_equal(open_table(table).matrix, ROWS + 1)


def test_a_second_extraction_replaces_every_part(tmp_path: Path) -> None:
    table = tmp_path / "layer"
    write_table(table, IDS, ROWS)
    write_table(table, ["new"], ROWS[:1, :2])
    assert sorted(tree(tmp_path)) == ["layer.json", "layer.npy", "layer/new.npy"]
    assert open_table(table).matrix.shape == (1, 2)


def test_values_of_another_type_become_float32(tmp_path: Path) -> None:
    with TableWriter(tmp_path / "layer", ["a", "b"]) as writer:
        writer.write([1, 0], np.asfortranarray([[1.0, 2.0], [3.0, 4.0]]))
        writer.commit({})
    np.testing.assert_array_equal(open_table(tmp_path / "layer").matrix, np.float32([[3, 4], [1, 2]]))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_not_finite_names_its_item(tmp_path: Path, bad: float) -> None:
    rows = ROWS.copy()
    rows[4, 2] = bad
    with pytest.raises(UserError, match=r"NaN or infinite values for item '\.\./x'"):
        write_table(tmp_path / "layer", IDS, rows)
    assert tree(tmp_path) == {}


def test_rows_of_another_length_name_their_item(tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match="item '10' has 4 values and the items before it 5"),
        TableWriter(tmp_path / "layer", IDS) as writer,
    ):
        writer.write([0, 1], ROWS[:2])
        writer.write([2], ROWS[2:3, :4])
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("values", [ROWS[0], ROWS[:2], ROWS.reshape(7, 1, 5)])
def test_values_of_another_shape_are_a_slip_of_the_caller(tmp_path: Path, values: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected"), TableWriter(tmp_path / "layer", IDS) as writer:
        writer.write([0], values)


def test_a_table_to_which_no_row_came_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no item gave features"), TableWriter(tmp_path / "layer", IDS) as writer:
        writer.commit({})
    assert list(tmp_path.iterdir()) == []


def test_the_fingerprint_tells_contents_apart_unless_one_is_given(tmp_path: Path) -> None:
    prints = [
        write_table(tmp_path / "1", IDS, ROWS)["fingerprint"],
        write_table(tmp_path / "2", IDS, ROWS)["fingerprint"],
        write_table(tmp_path / "3", IDS, ROWS + 1)["fingerprint"],
        write_table(tmp_path / "4", IDS[::-1], ROWS)["fingerprint"],
    ]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3
    assert write_table(tmp_path / "5", IDS, ROWS, fingerprint="mine")["fingerprint"] == "mine"


def test_leaving_without_commit_leaves_the_older_table_as_it_was(tmp_path: Path) -> None:
    write_table(tmp_path / "layer", IDS, ROWS)
    before = tree(tmp_path)
    with TableWriter(tmp_path / "layer", IDS) as writer:
        writer.write([0], ROWS[1:2])
    assert tree(tmp_path) == before


def test_in_a_folder_of_the_callers_choice_what_was_there_goes_and_nothing_stays(tmp_path: Path) -> None:
    work = tmp_path / ".layer.work" / "together"
    (work / "items").mkdir(parents=True)
    (work / "items" / "half.npy").write_bytes(b"of a process that was killed")
    with TableWriter(tmp_path / "layer", IDS, work=work) as writer:
        writer.write(range(7), ROWS)
        assert [path.name for path in tmp_path.iterdir()] == [".layer.work"]
        writer.commit({})
    assert not work.exists()
    assert len(list((tmp_path / "layer").iterdir())) == 7


# --- full disks and kills


class Killed(BaseException):
    """What a kill looks like from inside."""


def break_at(monkeypatch: pytest.MonkeyPatch, place: int, fault: BaseException) -> Callable[[], int]:
    """The `place`-th call that touches the disk fails; returns a function that says how many there were."""
    calls = 0

    def breaking(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def wrapper(*arguments: Any, **keywords: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == place:
                raise fault
            return original(*arguments, **keywords)

        monkeypatch.setattr(owner, name, wrapper)

    for owner, name in (
        (os, "fsync"),
        (Path, "replace"),
        (Path, "unlink"),
        (Path, "write_bytes"),
        (Path, "write_text"),
        (Path, "open"),
    ):
        breaking(owner, name)
    return lambda: calls


def write_again(table: Path) -> None:
    write_table(table, IDS, ROWS + 1, order=[5, 0, 1, 2, 3])


@pytest.mark.parametrize("kind", ["full", "killed"])
def test_whatever_call_fails_the_table_is_the_old_one_or_the_new_one_or_known_to_be_unfinished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    write_table(tmp_path / "done" / "layer", IDS, ROWS)
    old = tree(tmp_path / "done")
    write_again(tmp_path / "done" / "layer")
    new = tree(tmp_path / "done")
    untouched = 0
    for place in range(1, 200):
        folder = tmp_path / str(place)
        write_table(folder / "layer", IDS, ROWS)
        fault = OSError(errno.ENOSPC, "No space left on device") if kind == "full" else Killed()
        with monkeypatch.context() as patch:
            calls = break_at(patch, place, fault)
            try:
                write_again(folder / "layer")
            except UserError as error:
                assert "No space left on device" in error.what
            except Killed:
                pass
            if calls() < place:
                break
        there = {name: content for name, content in tree(folder).items() if not name.startswith(".")}
        if manifest_path(folder / "layer").exists():
            assert there in (old, new)
        else:
            with pytest.raises(UserError, match=r"not finished|missing"):
                open_table(folder / "layer")
        if kind == "full":
            assert tree(folder) == there, "nothing half-made is left"
        untouched += there == old
        write_again(folder / "layer")
        finished = {name: content for name, content in tree(folder).items() if not name.startswith(".")}
        assert finished == new, "the same command mends it"
    else:
        pytest.fail("the write never came to an end")
    assert place > 12 and untouched > 8


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """The kernel itself refuses to let a file grow beyond `size` bytes, as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("dim", [40_000, 3])
def test_a_disk_that_refuses_in_the_middle_gives_one_sentence_and_keeps_the_older_table(
    tmp_path: Path, dim: int
) -> None:
    """With rows of 3 values, what does not fit still stands in the stream's memory when the writer is left."""
    write_table(tmp_path / "layer", IDS, ROWS)
    before = tree(tmp_path)
    rows = np.ones((7, dim), dtype=np.float32)
    with pytest.raises(UserError, match="an earlier table there is untouched") as caught, largest_file(130):
        write_table(tmp_path / "layer", IDS, rows, per_item=False)
    assert caught.value.where == str(tmp_path / "layer")
    assert tree(tmp_path) == before
    json.loads(manifest_path(tmp_path / "layer").read_text())
