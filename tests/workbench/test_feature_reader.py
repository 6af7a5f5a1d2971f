"""Rows are found by item id; a table that is not whole is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import write_table

from workbench.errors import UserError
from workbench.features import FeatureTable, find_tables, manifest_path, matrix_path, open_table, read_manifest

IDS = ["b", "a", "10", "9", "../x"]
ROWS = np.random.default_rng(1).standard_normal((5, 3)).astype(np.float32)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    write_table(tmp_path / "layer", IDS, ROWS)
    return tmp_path / "layer"


@given(st.lists(st.sampled_from([*IDS, "absent", ""]), max_size=12))
def test_gather_finds_rows_by_id_and_masks_what_is_not_there(items: list[str]) -> None:
    values, present = FeatureTable(Path("t"), IDS, ROWS, {}).gather(items)
    assert values.shape == (len(items), 3) and values.dtype == np.float32
    for item, value, there in zip(items, values, present, strict=True):
        expected = ROWS[IDS.index(item)] if item in IDS else np.zeros(3)
        assert there == (item in IDS)
        np.testing.assert_array_equal(value, expected)


def test_a_row_that_belongs_to_no_item_is_never_found() -> None:
    table = FeatureTable(Path("t"), ["a", None, "b"], ROWS[:3], {})
    assert table.row_of == {"a": 0, "b": 2}
    assert table.gather(["None"])[1].tolist() == [False]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_row_that_is_not_finite_is_refused_by_its_item_only_when_it_is_wanted(bad: float) -> None:
    rows = ROWS.copy()
    rows[3, 1] = bad
    table = FeatureTable(Path("t"), IDS, rows, {})
    table.gather(["a", "10", "b"])
    with pytest.raises(UserError, match=r"item '9' has NaN or infinite features \(1 items in all\)"):
        table.gather(["a", "9", "b"])


@pytest.mark.parametrize("shape", [(4,), (1, 4)])
def test_a_bare_folder_as_ducho_leaves_it_is_read(tmp_path: Path, shape: tuple[int, ...]) -> None:
    folder = tmp_path / "torch" / "ResNet50" / "avgpool"
    folder.mkdir(parents=True)
    rows = {
        item: np.random.default_rng(len(item)).standard_normal(4).astype(np.float32) for item in ("B01", "a b", "7")
    }
    for item, row in rows.items():
        np.save(folder / f"{item}.npy", row.reshape(shape))
    table = open_table(folder)
    assert sorted(str(item) for item in table.ids) == ["7", "B01", "a b"]
    values, present = table.gather(list(rows))
    assert present.all()
    np.testing.assert_array_equal(values, np.stack(list(rows.values())))
    assert table.manifest == {} and table.dim == 4


def test_a_bare_folder_with_rows_of_two_lengths_names_the_file(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(4))
    np.save(tmp_path / "b.npy", np.zeros(5))
    with pytest.raises(UserError, match="5 values where the files before it have 4") as caught:
        open_table(tmp_path)
    assert caught.value.where == str(tmp_path / "b.npy")


@pytest.mark.parametrize("content", [b"", b"no array", b"\x93NUMPY\x01\x00"])
def test_a_broken_item_file_is_named(tmp_path: Path, content: bytes) -> None:
    np.save(tmp_path / "a.npy", np.zeros(4))
    (tmp_path / "b.npy").write_bytes(content)
    with pytest.raises(UserError, match="not readable") as caught:
        open_table(tmp_path)
    assert caught.value.where == str(tmp_path / "b.npy")


def test_pickled_content_is_refused_and_never_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"surprise": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match="not readable"):
        open_table(tmp_path)


def test_an_unfinished_table_is_refused(table: Path) -> None:
    manifest_path(table).unlink()
    with pytest.raises(UserError, match="not finished") as caught:
        open_table(table)
    assert "run the extraction again" in str(caught.value.mend)


def test_a_matrix_that_does_not_fit_its_manifest_is_refused(table: Path) -> None:
    np.save(matrix_path(table), ROWS[:4])
    with pytest.raises(UserError, match=r"the matrix is \(4, 3\) and its manifest says \(5, 3\)"):
        open_table(table)


@pytest.mark.parametrize("size", [0, 20, 135])
def test_a_matrix_cut_short_is_refused(table: Path, size: int) -> None:
    matrix_path(table).write_bytes(matrix_path(table).read_bytes()[:size])
    with pytest.raises(UserError, match="not readable"):
        open_table(table)


def test_without_its_matrix_a_table_is_read_from_the_item_files_by_id(table: Path) -> None:
    """The files stand in the order of their names, not in that of the manifest."""
    matrix_path(table).unlink()
    values, present = open_table(table).gather(IDS)
    assert present.all()
    np.testing.assert_array_equal(values, ROWS)


def test_without_matrix_and_item_files_a_table_is_refused(tmp_path: Path) -> None:
    write_table(tmp_path / "layer", IDS, ROWS, per_item=False)
    matrix_path(tmp_path / "layer").unlink()
    with pytest.raises(UserError, match="matrix is missing"):
        open_table(tmp_path / "layer")
    (tmp_path / "layer").mkdir()
    with pytest.raises(UserError, match="matrix is missing"):
        open_table(tmp_path / "layer")


@pytest.mark.parametrize("text", ["{}", "[]", '{"format": "bottega.features/999"}'])
def test_a_manifest_of_another_kind_is_refused(table: Path, text: str) -> None:
    manifest_path(table).write_text(text)
    with pytest.raises(UserError, match="not a feature manifest of this version"):
        open_table(table)


def test_where_there_is_no_table_the_nearest_folder_tells_what_it_holds(tmp_path: Path) -> None:
    write_table(tmp_path / "visual" / "torch" / "ResNet50" / "avgpool", IDS, ROWS)
    with pytest.raises(UserError, match="no feature table there") as caught:
        open_table(tmp_path / "visual" / "torch" / "ResNet18" / "avgpool")
    assert f"in {tmp_path / 'visual' / 'torch'} there are: ResNet50" in str(caught.value.mend)
    assert read_manifest(tmp_path / "visual" / "nothing") is None


def test_tables_are_found_with_and_without_manifest_and_item_files(tmp_path: Path) -> None:
    write_table(tmp_path / "torch" / "R" / "layer4.2", IDS, ROWS)
    write_table(tmp_path / "torch" / "R" / "avgpool", IDS, ROWS, per_item=False)
    (tmp_path / "ducho" / "org" / "model" / "1").mkdir(parents=True)
    np.save(tmp_path / "ducho" / "org" / "model" / "1" / "a.npy", ROWS[:1])
    (tmp_path / "torch" / ".hidden.tmp").mkdir()
    np.save(tmp_path / "torch" / ".hidden.tmp" / "a.npy", ROWS[:1])
    (tmp_path / "torch" / "quarantine.tsv").write_text("modality\titem\n")
    found = [str(path.relative_to(tmp_path)) for path in find_tables(tmp_path)]
    assert found == ["ducho/org/model/1", "torch/R/avgpool", "torch/R/layer4.2"]


def test_the_manifest_is_readable_by_people(table: Path) -> None:
    manifest = json.loads(manifest_path(table).read_text(encoding="utf-8"))
    assert manifest["ids"] == IDS
    assert manifest_path(table).read_text().count("\n") > len(manifest)
