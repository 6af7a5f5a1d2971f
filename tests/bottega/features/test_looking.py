"""Looking at tables: the verbs of `bottega features`, on tables whose numbers are known."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import write_table
from typer.testing import CliRunner

from bottega.cli import app
from bottega.features.inventory import inventory, remove
from bottega.features.sheet import nearest_rows, write_sheet
from bottega.features.soundness import describe, faults
from workbench.errors import UserError
from workbench.features import matrix_path, open_table, write_indexed

IDS = ["a", "b", "c", "d/e"]
ROWS = np.array([[3, 4, 1], [0, 0, 1], [3, 4, 1], [0, 0, 0]], dtype=np.float32)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "visual" / "torch" / "R" / "pool"
    write_table(path, IDS, ROWS)
    return path


def test_the_numbers_of_a_table_are_those_of_its_rows(table: Path) -> None:
    found = dict(describe(open_table(table)))
    assert found["items"] == "4 of 4 rows"
    assert found["zero rows"] == "1"
    assert found["rows that repeat another"] == "1"
    assert found["constant dimensions"] == "0"
    assert found["norm: min, quartiles, max"].split()[0] == "0"
    assert float(found["norm: min, quartiles, max"].split()[-1]) == pytest.approx(np.sqrt(26), rel=1e-3)


def test_a_table_as_it_was_written_is_sound(table: Path) -> None:
    assert faults(table) == []


def test_a_changed_matrix_and_a_changed_file_of_an_item_are_found(table: Path) -> None:
    np.save(table / "b.npy", np.ones((1, 3), np.float32))
    assert faults(table) == ["1 per-item files are missing or differ from the matrix, first 'b'"]
    matrix = np.load(matrix_path(table))
    matrix[0, 0] = np.nan
    np.save(matrix_path(table), matrix)
    assert "the matrix is not the one that its manifest describes" in faults(table)
    assert "1 rows with NaN or infinity" in faults(table)


def test_every_table_below_a_folder_is_listed_and_shared_files_are_counted_once(table: Path, tmp_path: Path) -> None:
    write_indexed(open_table(table), tmp_path / "visual_indexed" / "torch" / "R" / "pool", {"a": 0, "b": 1})
    (tmp_path / "split.json").write_text("{}")
    first, twin = inventory(tmp_path)
    assert (first.items, first.dim, twin.items) == (4, 3, 2)
    assert twin.size < first.size  # only its manifest is new on disk


def test_neighbours_are_those_of_a_loop_over_all_pairs(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    rows = generator.standard_normal((30, 5)).astype(np.float32)
    ids = [f"i{number}" for number in range(30)]
    write_table(tmp_path / "layer", ids, rows)
    found = nearest_rows(open_table(tmp_path / "layer"), ["i3", "i7"], 4)
    for query, neighbours in zip((3, 7), found, strict=True):
        cosines = [float(rows[query] @ other / np.linalg.norm(rows[query]) / np.linalg.norm(other)) for other in rows]
        best = sorted((number for number in range(30) if number != query), key=lambda number: -cosines[number])[:4]
        assert [item for item, _ in neighbours] == [f"i{number}" for number in best]
        np.testing.assert_allclose([value for _, value in neighbours], [cosines[number] for number in best], atol=1e-6)


def test_the_sheet_needs_no_other_file_and_escapes_what_it_shows(table: Path, tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    Image.new("RGB", (300, 200), "red").save(images / "a.jpg")
    (images / "b.jpg").write_bytes(b"no image")
    texts = tmp_path / "meta.tsv"
    texts.write_text("item\ttitle\na\t<script>alert(1)</script>\n")
    out = tmp_path / "sheet.html"
    write_sheet(open_table(table), out, ["a"], 3, images, texts)
    page = out.read_text()
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert "data:image/jpeg;base64," in page and "unreadable image" in page
    assert 'src="http' not in page and page.count("<td>") == 4


def test_an_item_that_is_not_there_is_answered_with_the_nearest(table: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no item 'd/f'.*\n.*did you mean 'd/e'"):
        write_sheet(open_table(table), tmp_path / "x.html", ["d/f"], 1, None, None)


def test_removing_takes_all_parts_of_one_table_and_nothing_else(table: Path) -> None:
    write_table(table.with_name("other"), IDS, ROWS)
    remove(table)
    assert sorted(path.name for path in table.parent.iterdir()) == ["other", "other.json", "other.npy"]
    with pytest.raises(UserError, match="no feature table there"):
        remove(table)
    with pytest.raises(UserError, match="more than a table's rows"):
        remove(table.parent)


def test_the_verbs_print_what_they_found(table: Path) -> None:
    run = CliRunner()
    assert "visual/torch/R/pool" in run.invoke(app, ["features", "ls", str(table.parents[2])]).output
    assert run.invoke(app, ["features", "verify", str(table.parents[2])]).exit_code == 0
    (table / "a.npy").unlink()
    spoiled = run.invoke(app, ["features", "verify", str(table.parents[2])])
    assert spoiled.exit_code == 1 and "first 'a'" in spoiled.output


def test_help_answers_without_loading_torch() -> None:
    code = "import sys; from bottega.cli import app; assert 'torch' not in sys.modules and 'pandas' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
