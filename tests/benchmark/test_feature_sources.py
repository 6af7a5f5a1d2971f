"""Tables, folders and matrices: which row is whose, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import write_table

from benchmark.data.modalities import Mean, load_modality, open_source
from workbench.errors import UserError

ROWS = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
NUMBERS = ["4", "0", "5"]


def save(path: Path, values: Any) -> Path:
    np.save(path, values)
    return path


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, ">f4"])
def test_a_row_of_a_matrix_is_the_item_of_that_number(tmp_path: Path, kind: Any) -> None:
    modality = load_modality("image", save(tmp_path / "image_feat.npy", ROWS.astype(kind)), NUMBERS)
    assert modality.features.dtype == np.float32 and modality.features.dtype.isnative
    np.testing.assert_array_equal(modality.features, ROWS.astype(kind).astype(np.float32)[[4, 0, 5]])
    assert modality.present.all()


def test_a_matrix_in_columns_is_the_same_matrix(tmp_path: Path) -> None:
    path = save(tmp_path / "x.npy", np.asfortranarray(ROWS))
    np.testing.assert_array_equal(load_modality("image", path, NUMBERS).features, ROWS[[4, 0, 5]])


def test_a_file_of_ids_names_the_rows(tmp_path: Path) -> None:
    path = save(tmp_path / "x.npy", ROWS[:4])
    (tmp_path / "ids.txt").write_bytes("﻿B 7\r\n0\n4\nÄ\n".encode())
    source = open_source(path, tmp_path / "ids.txt")
    modality = load_modality("image", source, ["Ä", "5", "0", "B 7"], Mean())
    np.testing.assert_array_equal(modality.features[[0, 2, 3]], ROWS[[3, 1, 0]])
    assert modality.present.tolist() == source.has(["Ä", "5", "0", "B 7"]).tolist() == [True, False, True, True]


def test_a_matrix_beside_its_manifest_is_the_table(tmp_path: Path) -> None:
    write_table(tmp_path / "pool.2", ["b", "a", "c"], ROWS[:3])
    np.testing.assert_array_equal(load_modality("x", tmp_path / "pool.2.npy", ["a", "b"]).features, ROWS[[1, 0]])


def test_a_folder_of_files_needs_no_manifest(tmp_path: Path) -> None:
    for item, row in zip("abc", ROWS, strict=False):
        np.save(tmp_path / f"{item}.npy", row[None])
    np.testing.assert_array_equal(load_modality("x", tmp_path, ["c", "a"]).features, ROWS[[2, 0]])


def test_rows_that_no_item_has_and_rows_of_zeros_are_told(tmp_path: Path, log: list[str]) -> None:
    rows = ROWS.copy()
    rows[2] = 0
    load_modality("x", save(tmp_path / "x.npy", rows), ["2", "0"])
    assert len(log) == 2
    assert "6 rows, and the largest item number is 2" in log[0]
    assert "the rows of 1 items are all zeros, and count as features" in log[1]


@pytest.mark.parametrize(
    ("values", "items", "what", "mend"),
    [
        (ROWS, ["7"], "6 rows and the largest item number is 7, which needs 8", "ids:"),
        (ROWS, ["0", "B01"], "item numbers, and the item 'B01' is none", "`ids:`"),
        (ROWS, ["00"], "the item '00' is none", "ids:"),
        (ROWS, ["²"], "the item '²' is none", "ids:"),
        (ROWS, ["-1"], "the item '-1' is none", "ids:"),
        (
            ROWS * np.array([1, np.nan, 1]),
            ["3", "5"],
            r"row 3 \(from 0\), item '3', has NaN.*\(2 items in all\)",
            "ids:",
        ),
        (np.full((1, 2), 1e300), ["0"], r"row 0 \(from 0\), item '0', has .*too large", "mend those rows"),
        (ROWS[0], ["0"], r"shape \(3,\)", "one row an item"),
        (ROWS[:, None], ["0"], r"shape \(6, 1, 3\)", "one row an item"),
        (ROWS[:, :0], ["0"], r"shape \(6, 0\)", "one row an item"),
        (ROWS.astype(np.int32), ["0"], "values of type int32", "float32"),
        (ROWS.astype(np.complex64), ["0"], "values of type complex64", "float32"),
        (np.array([["a"]], dtype=object), ["0"], "not readable as a matrix", "numpy.save"),
    ],
)
def test_a_matrix_that_cannot_be_right_is_refused(
    tmp_path: Path, values: np.ndarray, items: list[str], what: str, mend: str
) -> None:
    path = tmp_path / "x.npy"
    np.save(path, values, allow_pickle=True)
    with pytest.raises(UserError, match=what) as caught:
        load_modality("x", path, items)
    assert caught.value.where == str(path)
    assert mend in str(caught.value.mend)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (None, "no feature matrix there"),
        (b"", "not readable"),
        (b"no matrix", "not readable"),
        ("cut", "not readable"),
        ("zip", "an archive"),
    ],
)
def test_a_file_that_is_no_matrix_is_refused(tmp_path: Path, content: bytes | str | None, what: str) -> None:
    path = save(tmp_path / "x.npy", ROWS)
    if content is None:
        path = tmp_path / "y.npy"
    elif content == "zip":
        with path.open("wb") as stream:
            np.savez(stream, ROWS)
    else:
        path.write_bytes(path.read_bytes()[:-5] if isinstance(content, str) else content)
    with pytest.raises(UserError, match=what) as caught:
        open_source(path)
    assert caught.value.where == str(path)
    assert content is not None or "x.npy" in str(caught.value.mend)


@pytest.mark.parametrize(
    ("content", "what", "line"),
    [
        (b"a\nb\n", "2 ids for the 6 rows", ""),
        (b"a\nb\nc\na\nd\ne\n", "the id 'a' stands on line 1 already", ":4"),
        (b"a\nb\n\nc\nd\ne\n", "an empty line", ":3"),
        (b"a\n\xff\n", "not UTF-8", ""),
        (None, "no such file of ids", ""),
    ],
)
def test_a_broken_file_of_ids_is_refused_with_its_line(
    tmp_path: Path, content: bytes | None, what: str, line: str
) -> None:
    ids = tmp_path / "ids.txt"
    if content is not None:
        ids.write_bytes(content)
    with pytest.raises(UserError, match=what) as caught:
        open_source(save(tmp_path / "x.npy", ROWS), ids)
    assert caught.value.where == f"{ids}{line}"


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["image", "audio"])
def test_the_matrices_of_tiktok(real_data: Callable[[str], Path], name: str) -> None:
    path = real_data("tiktok") / f"{name}_feat.npy"
    raw = np.load(path)
    order = np.random.default_rng(0).permutation(len(raw))
    modality = load_modality(name, path, [str(number) for number in order])
    np.testing.assert_array_equal(modality.features, raw[order].astype(np.float32))
    assert modality.features.shape == (6710, 128) and modality.present.all()
