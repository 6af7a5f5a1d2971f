"""The notebooks: stored clean, every file and command in them checked, and both executed without a network."""

from __future__ import annotations

import ast
import csv
import json
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import typer.main
import yaml
from support import ROOT

from benchmark.config import read_split_config
from benchmark.config.experiment import ExperimentFile, read_experiment_configs
from benchmark.experiment.plan import plan_models
from benchmark.measures import plan_measures
from benchmark.models.base import Features, TrainingData
from benchmark.models.registry import find_model
from bottega.cli import app
from extractor.config import load_config
from workbench.config import assignments
from workbench.errors import UserError

nbformat = pytest.importorskip("nbformat")
inputs = pytest.importorskip("IPython.core.inputtransformer2")

FOLDER = ROOT / "notebooks"
NAMES = ["hands_on", "your_data_and_model"]
MODES = [("hands_on", True), ("hands_on", False), ("your_data_and_model", True)]
MACHINE_PATH = re.compile(
    r"(?<![\w.}>/:-])/(home|root|work|tmp|var|usr|opt|mnt|srv|content|Users|private)\b|[A-Z]:\\\\"
)


def cells(name: str, kind: str = "code", tag: str | None = None) -> list[Any]:
    book = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    return [
        cell for cell in book.cells if cell.cell_type == kind and (tag is None or tag in cell.metadata.get("tags", []))
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_stored_clean(name: str) -> None:
    text = (FOLDER / f"{name}.ipynb").read_text(encoding="utf-8")
    book = nbformat.reads(text, as_version=4)
    nbformat.validate(book)
    assert set(book.metadata) == {"kernelspec", "language_info"}
    assert all(not cell.outputs and cell.execution_count is None for cell in cells(name))
    assert str(ROOT) not in text
    for cell in [*cells(name), *cells(name, "markdown")]:
        assert not (found := MACHINE_PATH.search(cell.source)), f"{found}: {cell.source}"
    assert max(len(line) for cell in cells(name, "markdown") for line in cell.source.splitlines()) <= 128


class Shell:
    """What cells reach for by `get_ipython()`, as far as the writing of files goes."""

    def run_cell_magic(self, magic: str, line: str, cell: str) -> None:
        assert magic == "writefile"
        Path(line.strip()).write_text(cell, encoding="utf-8")


def transformed(cell: Any) -> str:
    """A cell as plain Python."""
    return inputs.TransformerManager().transform_cell(cell.source)


class Known(dict[str, Any]):
    """The names of a notebook; what only an execution would define stands for itself."""

    def __missing__(self, name: str) -> str:
        return name


@pytest.fixture
def written(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Known]:
    """The name of a notebook and its namespace, in the folder where all of its files have been written; nothing else of
    it is executed."""
    name, offline = request.param
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for variable in ("PATH", "COLUMNS", "TQDM_MININTERVAL"):  # what the notebook sets is undone afterwards
        monkeypatch.setenv(variable, os.environ.get(variable, "1"))
    known = Known(get_ipython=Shell)
    for cell in cells(name, tag="config"):
        source = transformed(cell)
        if not offline:
            source = source.replace("OFFLINE = True", "OFFLINE = False")
        exec(compile(source, f"{name}.ipynb", "exec"), known)
    assert known.get("OFFLINE", True) is offline
    return name, known


def files_of_kind(kind: str) -> list[Path]:
    """The written files that are extractions, splits, or experiments."""
    found = []
    for path in sorted(Path("config_files").glob("*.yml")):
        experiment = yaml.safe_load(path.read_text(encoding="utf-8")).get("experiment")
        of = "extraction" if experiment is None else "experiment" if "models" in experiment else "split"
        found += [path] if of == kind else []
    return found


def check(path: Path, changes: list[str] = []) -> ExperimentFile:  # noqa: B006
    """An experiment file with all keys of its models, as the bench reads it before it loads any data."""
    (file,) = read_experiment_configs(path, assignments(changes))
    plan_models(file, plan_measures(file))
    return file


@pytest.mark.parametrize("written", MODES, indirect=True)
def test_every_file_that_a_notebook_writes_has_legal_keys(written: tuple[str, Known]) -> None:
    name, _ = written
    for path in files_of_kind("extraction"):
        load_config(path)
    for path in files_of_kind("split"):
        read_split_config("any", path)
    experiments = {path.stem: check(path) for path in files_of_kind("experiment")}
    expected = {"hands_on": {"first", "second", "compared"}, "your_data_and_model": {"mine", "pictures"}}
    assert set(experiments) == expected[name]


def made_tables(path: Path) -> Iterator[str]:
    """The folders of the tables that an extraction file asks for."""
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    for modality in config.keys() & {"visual", "textual", "visual_textual"}:
        source = config[modality]["items"]
        outputs = source["output_path"]
        for model in source["model"]:
            sides = list(outputs.values()) if isinstance(outputs, dict) else [outputs]
            layers = model["output_layers"]
            layers = layers if isinstance(layers, list) else [layers] * len(sides)
            for output, layer in zip(sides, layers, strict=True):
                yield f"{config['dataset_path']}/{output}/{model['backend']}/{model['model_name']}/{layer}"


@pytest.mark.parametrize("written", MODES, indirect=True)
def test_experiments_read_the_tables_that_are_extracted(written: tuple[str, Known]) -> None:
    (extraction,) = files_of_kind("extraction")
    made = set(made_tables(extraction))
    used = {
        side.path.replace("{0}", file.experiment.dataset).removeprefix("../").replace("_indexed", "")
        for file in map(check, files_of_kind("experiment"))
        for features in file.experiment.data_config.feature_sets
        for side in features.loaders
    }
    assert used == made


def commands(name: str, known: Known) -> Iterator[tuple[list[str], bool]]:
    """The words of each `!bottega` line, and whether it is to fail."""
    for cell in cells(name):
        for node in ast.walk(ast.parse(transformed(cell))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "system":
                line = ast.literal_eval(node.args[0]).format_map(known)
                words = shlex.split(line.removesuffix("|| true"))
                if words[0] == "bottega":
                    yield words[1:], line.endswith("|| true")


@pytest.mark.parametrize("written", MODES, indirect=True)
def test_every_command_in_a_notebook_exists_with_its_options(written: tuple[str, Known]) -> None:
    seen = set()
    for words, fails in commands(*written):
        command: Any = typer.main.get_command(app)
        while hasattr(command, "commands"):
            command = command.commands[words[0]]
            seen.add(words.pop(0))
        params = command.make_context("bottega", list(words)).params
        files = [Path(word) for word in words if word.endswith(".yml")]
        assert all(path.is_file() for path in files), words
        if "changes" in params and not fails:
            for path in files_of_kind("experiment"):
                if path in files:
                    check(path, params["changes"] or [])
        elif fails:
            with pytest.raises(UserError, match="factor") as refused:
                check(files[0], params["changes"])
            assert "did you mean 'factors'" in refused.value.render()
    assert {"extract", "split", "run", "compare"} <= seen


@pytest.mark.parametrize("written", [("your_data_and_model", True)], indirect=True)
def test_the_model_of_the_notebook_scores_as_its_docstring_says(written: tuple[str, Known]) -> None:
    model = find_model("external.TwoTastes", Path("models"))
    torch.manual_seed(0)
    present = torch.tensor([[True, False, True], [True, True, False]])
    features = {
        modality: Features(torch.randn(3, width), there)
        for modality, width, there in zip(("visual", "textual"), (5, 4), present, strict=True)
    }
    data = TrainingData(2, 3, torch.tensor([0, 1, 2]), torch.tensor([0, 2]), features)
    made: Any = model(model.Params(factors=2), data)  # type: ignore[call-arg]
    torch.nn.init.normal_(made.popularity)
    with torch.no_grad():
        scores = made.scorer()(torch.tensor([1, 0]))
        for row, user in enumerate((1, 0)):
            for item in range(3):
                expected = made.popularity[item] + made.users[user, :2] @ made.items[item]
                for place, each in enumerate(features.values()):
                    if each.present[item]:
                        view = torch.tanh(made.maps[place].weight @ each.values[item] + made.maps[place].bias)
                        expected = expected + made.users[user, 2 + 2 * place : 4 + 2 * place] @ view
                assert scores[row, item] == pytest.approx(float(expected), abs=1e-5)


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A kernel of this very Python without a network, whose temporary files go to `tmp_path / "made"`."""
    for package in ("nbclient", "ipykernel"):
        pytest.importorskip(package)
    for folder in ("made", "elsewhere"):
        (tmp_path / folder).mkdir()
    spec = tmp_path / "jupyter" / "kernels" / "here"
    spec.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (spec / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "here", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "made"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")  # where nobody answers
    return spec.name


def execute(name: str, kernel: str, place: Path) -> tuple[Any, Path]:
    """The executed notebook and the folder that it worked in; a command with an exit status is a failure."""
    from nbclient import NotebookClient

    book = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    for cell in book.cells:
        if cell.cell_type == "code" and re.search(r"^\s*!bottega", cell.source, re.MULTILINE):
            cell.source += "\nassert globals().get('_exit_code', 0) == 0, 'the command failed'"
    elsewhere = place / "elsewhere"
    resources = {"metadata": {"path": str(elsewhere)}}
    NotebookClient(book, kernel_name=kernel, timeout=600, resources=resources).execute()
    assert not list(elsewhere.iterdir()), "something was written to the folder from which the notebook was started"
    (work,) = (place / "made").glob("notebook-*")
    return book, work


def printed(book: Any, beginning: str) -> str:
    """What the first cell of this beginning printed."""
    cell = next(cell for cell in book.cells if cell.cell_type == "code" and cell.source.startswith(beginning))
    return "".join(output.get("text", "") for output in cell.outputs)


def table(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "results.tsv").open(encoding="utf-8") as file:
        return {row["model"]: row for row in csv.DictReader(file, delimiter="\t")}


def shown_page(book: Any) -> str:
    """The HTML of the last page that was shown."""
    pages = [output.data["text/html"] for cell in cells_of(book) for output in cell.outputs if has_page(output)]
    return str(pages[-1])


def cells_of(book: Any) -> list[Any]:
    return [cell for cell in book.cells if cell.cell_type == "code"]


def has_page(output: Any) -> bool:
    return "<iframe" in output.get("data", {}).get("text/html", "")


@pytest.mark.heavy
def test_the_hands_on_runs_offline_and_finds_what_was_planted(kernel: str, tmp_path: Path) -> None:
    book, work = execute("hands_on", kernel, tmp_path)
    results = work / "results" / "demo"
    assert list(table(results / "first")) == list(table(results / "second")) == ["VBPR"]
    compared = table(results / "compared")
    control = "VBPR [control] visual=shuffled textual=shuffled"
    pairs = ["VBPR [colours and gradients]", "VBPR [colours]"]
    assert list(compared) == ["MostPop", "BPRMF", *pairs, control]
    recall = {row: float(figures["Recall@20"]) for row, figures in compared.items()}
    assert min(recall[pair] for pair in pairs) > max(recall[control], recall["BPRMF"])
    assert float(compared[pairs[0]]["std Recall@20"]) > 0
    with (results / "compared" / "significance.tsv").open(encoding="utf-8") as file:
        tests = {(row["first"], row["second"], row["metric"]): row for row in csv.DictReader(file, delimiter="\t")}
    against_control = tests[pairs[0], control, "Recall@20"]
    assert float(against_control["users_seeds_low"]) > 0 and float(against_control["holm_paired_ttest"]) < 0.05
    assert (results / "compared" / "report.html").is_file()
    assert "MostPop" in shown_page(book) and "colours and gradients" in shown_page(book)
    assert any("image/jpeg" in output.get("data", {}) for cell in cells_of(book) for output in cell.outputs)
    assert "VBPR: second - first" in printed(book, "!bottega runs compare")


@pytest.mark.heavy
def test_your_data_and_model_runs_is_killed_and_goes_on(kernel: str, tmp_path: Path) -> None:
    book, work = execute("your_data_and_model", kernel, tmp_path)
    results = work / "results" / "teas"
    figures = table(results / "mine")
    assert list(figures) == list(table(results / "pictures")) == ["MostPop", "VBPR", "TwoTastes"]
    recall = {row: float(each["Recall@10"]) for row, each in figures.items()}
    assert min(recall["VBPR"], recall["TwoTastes"]) > 2 * recall["MostPop"]
    assert (results / "mine" / "report.html").is_file() and "TwoTastes" in shown_page(book)

    assert "did you mean 'factors'" in printed(book, "!bottega run config_files/mine.yml --set")
    before, after = (
        int(printed(book, start).split(" trials")[0].split()[-1])
        for start in ("import subprocess\nimport time", "finished =")
    )
    assert 3 <= before <= 13, "the run was killed before its end"
    assert 4 <= after <= 8, "two new configurations a model, and two seeds more where one of them is chosen"
    records = [json.loads(line) for line in (results / "mine" / "journal.jsonl").read_text().splitlines()]
    keys = [record["key"] for record in records if record["kind"] == "trial"]
    assert len(set(keys)) == len(keys), "no trial ran twice"
    quarantined = (work / "data" / "teas").glob("*/quarantine.tsv")
    assert {"tea007", "tea099"} == {
        row["item"] for path in quarantined for row in csv.DictReader(path.open(encoding="utf-8"), delimiter="\t")
    }
    assert "TwoTastes: pictures - mine" in printed(book, "!bottega runs compare")
