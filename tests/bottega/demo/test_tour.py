"""`python -m bottega.demo`, as `make demo` runs it, on a smaller shop and a shorter grid."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support import ROOT

from bottega.demo import CatalogueSpec, __main__, files

SPEC = CatalogueSpec(n_items=60, n_users=80, n_interactions=900, picture_size=32)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "config_files").mkdir()
    shutil.copy(ROOT / "config_files" / "extract_demo.yml", tmp_path / "config_files")
    short = (ROOT / "config_files" / "demo.yml").read_text().replace("epochs: 150", "epochs: 4")
    (tmp_path / "config_files" / "demo.yml").write_text(short.replace("validation_rate: 10", "validation_rate: 2"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(files, "CatalogueSpec", lambda: SPEC)
    return tmp_path


def test_the_tour_ends_with_a_table_and_the_second_one_re_uses_everything(
    place: Path, capsys: pytest.CaptureFixture[str], log: list[str]
) -> None:
    __main__.main()
    first = capsys.readouterr().out
    assert "drawn into data/demo" in first
    assert all(f"| {model} " in first for model in ("Random", "MostPop", "BPRMF", "VBPR"))
    assert "took before" in first and "made:" in first and "try:" in first
    journal = (place / "results" / "demo" / "demo" / "journal.jsonl").read_bytes()
    tables = {path: path.stat().st_mtime_ns for path in (place / "data" / "demo").glob("*_embeddings/*/*/*.npy")}
    assert len(tables) == 2
    log.clear()

    __main__.main()
    second = capsys.readouterr().out
    assert "data/demo holds it already" in second
    assert sum("nothing changed, used again" in line for line in log) == 2
    assert any("the split is up to date" in line for line in log)
    assert (place / "results" / "demo" / "demo" / "journal.jsonl").read_bytes() == journal
    assert {path: path.stat().st_mtime_ns for path in tables} == tables
    tables_of = [text[text.index("test figures") : text.index("== one user")] for text in (first, second)]
    assert tables_of[0] == tables_of[1]
