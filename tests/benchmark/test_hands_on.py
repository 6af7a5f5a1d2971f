"""The files of the summer school's hands-on are accepted as they stand."""

from __future__ import annotations

import contextlib
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from bench_cases import random_reviews, read_rows, write_rows
from experiment_cases import results
from support import HANDS_ON, REAL_DATA, ROOT, launch, write_table

from benchmark.config import read_experiment_config
from benchmark.experiment import run_experiment
from benchmark.experiment.plan import plan_models
from benchmark.measures import plan_measures
from benchmark.prepare import PARTS, prepare

pytestmark = pytest.mark.realdata
SENTENCES = "sentence_transformers/sentence-transformers/all-mpnet-base-v2/1"
CLIP = "transformers/openai/clip-vit-base-patch16/1"
TABLES = {
    "visual_embeddings_32": {"torch/ResNet50/avgpool": 8, CLIP: 6},
    "textual_embeddings_32": {SENTENCES: 5, CLIP: 6},
}


@pytest.fixture
def office(place: Path) -> Path:
    """A data set called office, tables with random rows under the names of the hands-on, and its four files."""
    if not HANDS_ON.is_dir():
        pytest.skip(f"the hands-on files are not there (looked in {HANDS_ON})")
    folder = place / "data" / "office"
    write_rows(folder / "reviews.tsv", [row[:3] for row in random_reviews(0)])
    items = [f"i{number}" for number in range(40)]
    rng = np.random.default_rng(0)
    for output, layers in TABLES.items():
        for layer, dim in layers.items():
            write_table(folder / output / layer, items, rng.standard_normal((40, dim)).astype(np.float32))
    shutil.copytree(HANDS_ON, place / "config_files")
    (place / "external").symlink_to(ROOT / "external")
    return place


def test_the_split_file_cuts_as_asked(office: Path) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        made = prepare("office", "config_files/split_office.yml")
    assert sum(made.counts.values()) == len(read_rows(office / "data" / "office" / "reviews.tsv"))
    assert len(made.tables) == 4


@pytest.mark.parametrize("name", ["hands-on_clip", "hands-on_resnet50_sentencebert"])
def test_the_experiment_files_run_as_they_stand(
    office: Path, name: str, log: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the number of epochs is changed, and that to save time."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    prepare("office")
    path = office / "config_files" / f"{name}.yml"
    path.write_text(path.read_text().replace("epochs: 200", "epochs: 20"))
    log.clear()
    capsys.readouterr()
    folder = run_experiment(path)
    assert folder == Path("results/office") / name
    table = results(folder)
    assert list(table) == ["VBPR"]
    assert all(0 < float(table["VBPR"][f"{metric}@20"]) <= 1 for metric in ("Recall", "Precision", "nDCG", "HR"))
    assert "| VBPR " in capsys.readouterr().out
    warnings = [line for line in log if line.startswith("WARNING")]
    assert len(warnings) == 1 and "gpu 0 was asked for" in warnings[0]
    assert sum("`n_layers` has no effect" in line for line in log) == 1


@pytest.mark.parametrize("name", ["hands-on_clip", "hands-on_resnet50_sentencebert"])
def test_the_unchanged_experiment_files_are_read_and_planned(office: Path, name: str) -> None:
    file = read_experiment_config(office / "config_files" / f"{name}.yml")
    (plan,) = plan_models(file, plan_measures(file))
    (combination,) = plan.proposals().batch()
    params = plan.params(combination)
    given = params.model_dump()
    assert (given["epochs"], given["batch_size"], given["factors"], given["seed"]) == (200, 1024, 64, 123)
    assert (given["lr"], given["l_w"]) == (0.005, 1e-5)
    assert given["modalities"] == ("visual", "textual")
    assert plan.monitor == "Recall@20"
    assert plan.block.meta.validation_rate == 10


def test_the_split_file_runs_through_the_launcher(office: Path) -> None:
    done = launch("run_split.py", "--dataset", "office", cwd=office)
    assert done.returncode == 0, done.stderr
    assert all((office / "data" / "office" / f"{name}_indexed.tsv").is_file() for name in PARTS)


def test_the_split_file_is_an_experiment_too(office: Path) -> None:
    """As in Elliot, it also evaluates its one model on the split that it makes."""
    folder = run_experiment(office / "config_files" / "split_office.yml")
    assert list(results(folder)) == ["MostPop"]
    saved = office / "data" / "office_splits" / "0"
    assert (saved / "test.tsv").is_file() and (saved / "0" / "val.tsv").is_file()


def test_the_published_office_split_comes_out_row_for_row(office: Path) -> None:
    source = REAL_DATA / "amazon-office-ducho24"
    if not source.is_dir():
        pytest.skip(f"the Office data are not there (looked in {REAL_DATA})")
    folder = office / "data" / "office"
    shutil.copyfile(source / "reviews.tsv", folder / "reviews.tsv")
    done = launch("run_split.py", "--dataset", "office", "--config", "config_files/split_office.yml", cwd=office)
    assert done.returncode == 0, done.stderr
    for name in PARTS:
        assert (folder / f"{name}.tsv").read_bytes() == (source / f"{name}.tsv").read_bytes(), name
