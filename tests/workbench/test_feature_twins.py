"""Tables under the integer ids of a split: other names, the same bytes on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import tree, write_table

from workbench.errors import UserError
from workbench.features import indexed_output, matrix_path, open_table, write_indexed

IDS = ["b", "a", "../x", "lonely", "10"]
ROWS = np.random.default_rng(2).standard_normal((5, 3)).astype(np.float32)
INDEX = {"10": 0, "absent": 1, "b": 2, "../x": 3, "a": 4}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write_table(tmp_path / "visual" / "torch" / "R" / "avgpool", IDS, ROWS, quarantined=["z"])
    return tmp_path / "visual" / "torch" / "R" / "avgpool"


@pytest.fixture
def twin(source: Path, tmp_path: Path) -> Path:
    target = tmp_path / "visual_indexed" / "torch" / "R" / "avgpool"
    assert write_indexed(open_table(source), target, INDEX) == 4
    return target


@pytest.mark.parametrize(
    ("output", "twin"),
    [
        ("visual_embeddings_32", "visual_embeddings_indexed_32"),
        ("visual_embeddings", "visual_embeddings_indexed"),
        ("v2", "v2_indexed"),
        ("a_1_2", "a_1_indexed_2"),
    ],
)
def test_the_twin_of_an_output_folder_has_duchos_name(output: str, twin: str) -> None:
    assert indexed_output(output) == twin


def test_rows_are_found_under_the_new_numbers(twin: Path) -> None:
    values, present = open_table(twin).gather(["0", "1", "2", "3", "4"])
    assert present.tolist() == [True, False, True, True, True]
    np.testing.assert_array_equal(values, np.stack([ROWS[4], np.zeros(3), ROWS[0], ROWS[2], ROWS[1]]))
    assert open_table(twin).manifest["items"] == 4


def test_the_twin_shares_every_byte_with_its_source(source: Path, twin: Path) -> None:
    assert matrix_path(twin).stat().st_ino == matrix_path(source).stat().st_ino
    linked = {path.name: path.stat().st_ino for path in twin.iterdir()}
    assert linked == {
        "0.npy": (source / "10.npy").stat().st_ino,
        "2.npy": (source / "b.npy").stat().st_ino,
        "3.npy": (source / "%2E.%2Fx.npy").stat().st_ino,
        "4.npy": (source / "a.npy").stat().st_ino,
    }
    blocks = {path.stat().st_ino: path.stat().st_blocks for path in twin.parents[3].rglob("*.npy")}
    alone = {path.stat().st_ino: path.stat().st_blocks for path in source.parents[2].rglob("*.npy")}
    assert sum(blocks.values()) == sum(alone.values())


def test_the_twin_of_a_twins_source_extracted_anew_is_stale(source: Path, twin: Path) -> None:
    write_table(source, IDS, ROWS + 1)
    with pytest.raises(UserError, match="stale") as caught:
        open_table(twin)
    assert "run_split.py" in str(caught.value.mend)
    write_indexed(open_table(source), twin, INDEX)
    np.testing.assert_array_equal(open_table(twin).gather(["4"])[0], ROWS[1:2] + 1)


def test_the_same_extraction_again_leaves_the_twin_valid(source: Path, twin: Path) -> None:
    write_table(source, IDS, ROWS)
    np.testing.assert_array_equal(open_table(twin).gather(["4"])[0], ROWS[1:2])


def test_a_twin_outlives_its_source(source: Path, twin: Path) -> None:
    for path in sorted(source.parents[2].rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    np.testing.assert_array_equal(open_table(twin).gather(["4"])[0], ROWS[1:2])


def test_a_moved_data_folder_keeps_its_links(source: Path, twin: Path, tmp_path: Path) -> None:
    moved = tmp_path.with_name(tmp_path.name + "_moved")
    tmp_path.rename(moved)
    place = moved / twin.relative_to(tmp_path)
    np.testing.assert_array_equal(open_table(place).gather(["4"])[0], ROWS[1:2])
    write_table(moved / source.relative_to(tmp_path), IDS, ROWS + 1)
    with pytest.raises(UserError, match="stale"):
        open_table(place)


def test_a_new_index_replaces_the_twin_whole(source: Path, twin: Path) -> None:
    assert write_indexed(open_table(source), twin, {"lonely": 0}) == 1
    assert [path.name for path in twin.iterdir()] == ["0.npy"]
    assert open_table(twin).gather(["0", "2"])[1].tolist() == [True, False]


def test_a_table_without_item_files_gets_a_twin_without(tmp_path: Path) -> None:
    write_table(tmp_path / "v" / "layer", IDS, ROWS, per_item=False)
    write_indexed(open_table(tmp_path / "v" / "layer"), tmp_path / "v_indexed" / "layer", INDEX)
    assert sorted(tree(tmp_path / "v_indexed")) == ["layer.json", "layer.npy"]
    np.testing.assert_array_equal(open_table(tmp_path / "v_indexed" / "layer").gather(["2"])[0], ROWS[:1])


def test_a_folder_made_by_ducho_gets_a_twin_of_item_files(tmp_path: Path) -> None:
    source = tmp_path / "v" / "m" / "1"
    source.mkdir(parents=True)
    for item, row in zip(["b", "a%", "c"], ROWS, strict=False):
        np.save(source / f"{item}.npy", row)
    twin = tmp_path / "v_indexed" / "m" / "1"
    assert write_indexed(open_table(source), twin, {"a%": 0, "b": 1}) == 2
    assert sorted(path.name for path in twin.iterdir()) == ["0.npy", "1.npy"]
    assert (twin / "0.npy").stat().st_ino == (source / "a%.npy").stat().st_ino
    np.testing.assert_array_equal(open_table(twin).gather(["0", "1"])[0], ROWS[[1, 0]])


@given(st.permutations(IDS), st.permutations(range(5)))
def test_whatever_the_numbers_every_item_keeps_its_row(
    tmp_path_factory: pytest.TempPathFactory, items: list[str], numbers: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("twin")
    rows = ROWS[[IDS.index(item) for item in items]]
    write_table(folder / "v" / "l", items, rows, per_item=False)
    index = dict(zip(items, numbers, strict=True))
    write_indexed(open_table(folder / "v" / "l"), folder / "w" / "l", index)
    values, _ = open_table(folder / "w" / "l").gather([str(index[item]) for item in IDS])
    np.testing.assert_array_equal(values, ROWS)
