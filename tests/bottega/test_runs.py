"""Results folders by name, listed, reported, compared and removed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from support import ROOT
from typer.testing import CliRunner

from benchmark.folder import LOCK, alone_in, holder
from bottega.cli import app
from bottega.runs.finding import all_runs, find_run, is_run
from bottega.runs.listing import cells, count_trials
from bottega.runs.removing import remove, remove_weights
from workbench.errors import UserError
from workbench.journal import Journal
from workbench.locks import Lock

REPORT = {
    "finished": "2024-05-06 07:08:09",
    "metrics": ["Recall@20", "nDCG@20"],
    "models": [{"row": "MostPop", "test": {"Recall@20": 0.1}}, {"row": "VBPR", "test": {"Recall@20": 0.25}}],
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a finished run, an unfinished one, and one of another data set."""
    monkeypatch.chdir(tmp_path)
    for name in ("shop/grid", "shop/grid_wide", "office/deep"):
        folder = Path("results") / name
        journal = Journal(folder / "journal.jsonl")
        journal.append("trial", "1", {"model": "VBPR", "validation": {}})
        journal.append("trial", "2", {"model": "VBPR", "failed": "no number", "why": "diverged"})
        journal.append("test", "3", {})
        (folder / "checkpoints").mkdir()
        (folder / "checkpoints" / "1.safetensors").write_bytes(b"0" * 2**20)
        (folder / "config.yml").write_text("experiment: {dataset: shop}\n")
    Path("results/shop/grid/results.json").write_text(json.dumps(REPORT))
    Path("results/shop/notes").mkdir()
    return tmp_path


def invoke(*words: str, answer: str | None = None) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["runs", *words], input=answer)
    if isinstance(result.exception, UserError):
        raise result.exception
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("shop/grid", "shop/grid"),  # whole, though another one begins with it
        ("grid", "shop/grid"),
        ("shop/grid_", "shop/grid_wide"),
        ("grid_w", "shop/grid_wide"),
        ("office", "office/deep"),
        ("d", "office/deep"),
        ("results/office/deep", "office/deep"),
        ("results/office/deep/", "office/deep"),
    ],
)
def test_a_run_is_found_by_name_path_and_beginning(place: Path, text: str, found: str) -> None:
    assert find_run(text).resolve() == place / "results" / found


def test_a_run_is_found_by_its_experiment_file(place: Path) -> None:
    Path("grid.yml").write_text("experiment: {dataset: shop}\n")
    assert find_run("grid.yml") == Path("results/shop/grid")
    Path("grid_wide.yml").write_text("experiment: {dataset: [shop, office]}\n")
    assert find_run("grid_wide.yml") == Path("results/shop/grid_wide")
    Path("results/office/grid_wide").mkdir()
    Path("results/office/grid_wide/journal.jsonl").touch()
    with pytest.raises(UserError, match="several data sets") as caught:
        find_run("grid_wide.yml")
    assert str(caught.value.mend) == "write one of: shop/grid_wide, office/grid_wide"
    Path("other.yml").write_text("experiment: {dataset: shop}\n")
    with pytest.raises(UserError, match="no results yet"):
        find_run("other.yml")


@pytest.mark.parametrize(
    "text", ["experiment: 3", "experiment: {}", "experiment: {dataset: []}", "experiment: {dataset: ..}",
             "experiment: {dataset: ../x}", "experiment: {dataset: /etc}", "other: 1"],
)  # fmt: skip
def test_a_file_that_names_no_data_set_is_refused(place: Path, text: str) -> None:
    Path("x.yml").write_text(text)
    with pytest.raises(UserError, match="names no data set"):
        find_run("x.yml")


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ("shop/gird", "did you mean 'shop/grid'?"),
        ("deap", "did you mean 'deep'?"),
        ("zzz", "bottega runs ls shows all: office/deep, shop/grid, shop/grid_wide"),
        ("", "bottega runs ls"),
        ("..", "bottega runs ls"),
        ("results/shop/notes", "bottega runs ls"),
        ("shop/g", "write one of: shop/grid, shop/grid_wide"),
    ],
)
def test_a_miss_names_the_nearest_and_a_doubt_both(place: Path, text: str, mend: str) -> None:
    with pytest.raises(UserError) as caught:
        find_run(text)
    assert mend in str(caught.value.mend)


def test_without_results_the_next_step_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert all_runs() == []
    assert "bottega run FILE" in invoke("ls")[1]
    with pytest.raises(UserError, match="bottega run FILE"):
        find_run("x")


def test_the_list_shows_finished_and_unfinished_runs(place: Path) -> None:
    row = cells("shop/grid", Path("results/shop/grid"))
    assert row == ("shop/grid", "2", "1", "1", "VBPR", "Recall@20 0.2500", "2024-05-06 07:08", "1.0")
    assert cells("office/deep", Path("results/office/deep"))[1:7] == ("", "1", "1", "", "", "not finished")
    output = invoke("ls")[1]
    assert [line.split()[1] for line in output.splitlines()[3:-1]] == ["office/deep", "shop/grid", "shop/grid_wide"]


def test_the_best_is_the_smallest_where_less_is_better(place: Path) -> None:
    models = [{"row": "a", "test": {"MAE@20": 0.1}}, {"row": "b", "test": {"MAE@20": 0.2}}]
    models.append({"row": "c", "test": {"MAE@20": None}})
    Path("results/shop/grid/results.json").write_text(json.dumps({**REPORT, "metrics": ["MAE@20"], "models": models}))
    assert cells("x", Path("results/shop/grid"))[1:6] == ("3", "1", "1", "a", "MAE@20 0.1000")


def test_a_name_that_would_tear_the_terminal_is_printed_without_its_controls(place: Path) -> None:
    models = [{"row": "a\nb\x1b[31m", "test": {"Recall@20": 0.1}}]
    Path("results/shop/grid/results.json").write_text(json.dumps({**REPORT, "models": models}))
    assert cells("x", Path("results/shop/grid"))[4] == "a b [31m"


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"models": 3}', '{"metrics": [], "models": {}}', "\xff"])
def test_results_of_another_version_are_a_row_too(place: Path, text: str) -> None:
    Path("results/shop/grid/results.json").write_bytes(text.encode("latin-1"))
    assert cells("x", Path("results/shop/grid"))[5] == "of another version"


def test_trials_are_counted_once_by_their_latest_line(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append("trial", "1", {"failed": "lost"})
    journal.append("trial", "1", {"validation": {}})
    journal.append("trial", "2", {"failed": "lost"})
    with journal_tail(tmp_path) as stream:
        stream.write('{"kind": "trial", "key": "3"')
    assert count_trials(tmp_path / "journal.jsonl") == (1, 1)
    assert count_trials(tmp_path / "none.jsonl") == (0, 0)


def journal_tail(folder: Path) -> Any:
    return (folder / "journal.jsonl").open("a")


def test_a_run_is_removed_only_when_asked_twice_or_told_yes(place: Path) -> None:
    assert invoke("rm", "shop/grid", answer="n\n")[0] == 1
    assert invoke("rm", "shop/grid", answer="")[0] == 1
    assert is_run(Path("results/shop/grid"))
    assert invoke("rm", "shop/grid", answer="y\n")[0] == 0
    assert sorted(path.name for path in Path("results/shop").iterdir()) == ["grid_wide", "notes"]
    assert invoke("rm", "office/deep", "--yes")[0] == 0
    assert list(Path("results/office").iterdir()) == []


def test_weights_alone_are_removed(place: Path) -> None:
    before = {path: path.read_bytes() for path in Path("results").rglob("*") if path.suffix not in ("", ".safetensors")}
    assert remove_weights(Path("results/shop/grid")) == 1
    assert remove_weights(Path("results/shop/grid")) == 0
    assert {path: path.read_bytes() for path in before} == before
    assert Path("results/shop/grid_wide/checkpoints/1.safetensors").is_file()


def test_a_folder_in_use_stays_and_is_listed_as_running(place: Path) -> None:
    folder = Path("results/shop/grid")
    lock = Lock(folder / LOCK)
    with pytest.raises(UserError, match=f"another command is at work in this folder.*process {os.getpid()}"):
        remove(folder)
    with pytest.raises(UserError, match="is at work"):
        invoke("rm", "shop/grid", "--yes", "--checkpoints")
    with pytest.raises(UserError, match="is at work"):
        CliRunner().invoke(app, ["report", "shop/grid"], catch_exceptions=False)
    assert cells("x", folder)[6] == "running"
    assert (folder / "checkpoints" / "1.safetensors").is_file()
    lock.release()
    assert cells("x", folder)[6] != "running"
    remove(folder)
    assert not folder.exists()


def test_whoever_only_looks_stops_nobody(tmp_path: Path) -> None:
    looking = Lock(tmp_path / LOCK, shared=True)
    with pytest.raises(UserError, match="another sweep is at work in this folder\\n"), alone_in(tmp_path):
        pass
    threading.Timer(0.1, looking.release).start()
    with alone_in(tmp_path):
        assert f"process {os.getpid()}" in str(holder(tmp_path))
    assert holder(tmp_path) is None


def test_runs_are_found_without_loading_anything_heavy() -> None:
    code = "import sys, bottega.runs.finding, bottega.runs.removing; print('torch' in sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert loaded.stdout == "False\n"


def test_nothing_but_a_results_folder_is_removed(place: Path) -> None:
    with pytest.raises(UserError, match="no results folder"):
        remove(Path("results/shop/notes"))
    Path("link").symlink_to("results/shop/grid", target_is_directory=True)
    with pytest.raises(UserError, match="a link"):
        remove(Path("link"))
    Path("journal.jsonl").touch()  # a journal that somebody put beside data/ and results/
    with pytest.raises(UserError, match="more than a results folder"):
        remove(place)
    with pytest.raises(UserError, match="more than a results folder"):
        invoke("rm", ".", "--yes")
    Path("outer/data").mkdir(parents=True)
    Path("outer/results.json").touch()
    with pytest.raises(UserError, match="more than a results folder"):
        remove(Path("outer"))
    assert len(all_runs()) == 3 and Path("outer/data").is_dir()


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Stand-ins for what makes tables and pages: what they are given."""
    made: list[tuple[Any, ...]] = []
    found = SimpleNamespace(dataset="shop", config="experiment: {print_results_as_triplets: true}")
    functions: dict[str, dict[str, Any]] = {
        "benchmark.reports": {
            "read_report": lambda folder: found,
            "render": lambda report, styled=False: "THE TABLE",
            "wants_style": lambda stream: False,
            "write_files": lambda *given: made.append(("files", *given)),
        },
        "benchmark.reports.html.page": {"write_page": lambda *given: made.append(("page", *given))},
        "benchmark.reports.comparison": {"compare_runs": lambda folders, styled=False: f"COMPARED {folders}"},
    }
    for name, content in functions.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    return made


def test_a_report_is_made_again_from_the_results_alone(place: Path, reports: list[tuple[Any, ...]]) -> None:
    result = CliRunner().invoke(app, ["report", "shop/grid"], catch_exceptions=False)
    assert result.exit_code == 0 and "THE TABLE" in result.output
    folder = Path("results/shop/grid")
    (_, *files), (_, *page) = reports
    assert (files[0], files[2]) == (folder, True)
    assert (page[0], page[2]) == (folder / "report.html", Path("data/shop/images"))


def test_a_run_is_shown_with_the_place_of_its_page(place: Path, reports: list[tuple[Any, ...]]) -> None:
    output = invoke("show", "shop/grid")[1]
    assert "THE TABLE" in output and "bottega report shop/grid" in output
    Path("results/shop/grid/report.html").touch()
    assert "results/shop/grid/report.html" in invoke("show", "shop/grid")[1]
    assert "not finished; 1 trials are done, 1 failed" in invoke("show", "deep")[1]


def test_runs_are_compared_in_the_order_given(place: Path, reports: list[tuple[Any, ...]]) -> None:
    output = invoke("compare", "shop/grid_wide", "office")[1]
    assert output.index("grid_wide") < output.index("deep")
