"""Out to the folder of Align-MacridVAE and in again: the same experiment, without what that form has no place for."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from support import write_table
from typer.testing import CliRunner

from benchmark.data.formats.recom_data import open_features, read_ids, read_recom_data
from benchmark.data.interactions import Interactions, read_interactions
from benchmark.experiment import run_experiment
from benchmark.prepare import prepare
from bottega.cli import app
from workbench.errors import UserError
from workbench.features import open_table

PARTS = {"train": "train", "validation": "val", "test": "test"}
IDS = ["a", "007", "7", "ü 🎬", " b ", "x,y", '"q', "NaN", "i\u2028j", "plain"]
VISUAL = "visual_embeddings_32/torch/R/pool"
AUDIO = "audio_embeddings/torch/A/1"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """`data/shop`: odd ids, ratings, pictures of all items but two, sounds, no texts."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    pairs = [(f"user {user}", item) for user in IDS[:6] for item in IDS if rng.random() < 0.8]
    for name, share in zip(PARTS.values(), np.array_split(rng.permutation(len(pairs)), 3), strict=True):
        lines = ["\t".join([*pairs[place], "4"]) + "\n" for place in share]
        path = Path("data/shop") / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(lines), encoding="utf-8")
    pictures = rng.standard_normal((len(IDS), 3)).astype(np.float32)
    write_table(Path("data/shop") / VISUAL, IDS, pictures, range(2, len(IDS)))
    write_table(Path("data/shop") / AUDIO, IDS, pictures)
    with contextlib.redirect_stdout(io.StringIO()):
        prepare("shop")
        yield tmp_path


def run(*arguments: str) -> None:
    result = CliRunner().invoke(app, ["data", *arguments])
    if result.exception is not None:
        raise result.exception


def pairs_of(data: Interactions) -> list[tuple[str, str]]:
    users, items = data.user_ids[data.users], data.item_ids[data.items]
    return list(zip(users.tolist(), items.tolist(), strict=True))


def test_an_export_has_the_files_and_types_of_that_program(shop: Path, log: list[str]) -> None:
    run("export", "shop", "--to", "recom_data", "--out", "RecomData/shop-r_none")
    folder = Path("RecomData/shop-r_none")
    heads = {path.name: path.read_text(encoding="utf-8").split("\n")[0] for path in folder.glob("*.txt")}
    assert heads == {
        "users.txt": ",0",
        "items.txt": ",item_id",
        "train.txt": "user,item",
        "validation.txt": "user,item",
        "test.txt": "user,item",
    }
    pictures, texts = np.load(folder / "embed_image.npy"), np.load(folder / "embed_text.npy")
    n_items = len(read_ids(folder / "items.txt"))
    assert pictures.dtype == np.float64 and pictures.shape == (n_items, 3)
    assert texts.dtype == np.float32 and texts.shape == (n_items, 256) and not texts.any()
    assert any("no place for audio features, rating" in line for line in log)


def test_what_is_exported_is_read_as_it_was(shop: Path) -> None:
    run("export", "shop", "--to", "recom_data", "--out", "out")
    parts = read_recom_data(Path("out"))
    for part, name in PARTS.items():
        assert pairs_of(getattr(parts, part)) == pairs_of(read_interactions(Path("data/shop") / f"{name}.tsv"))
    values, present = open_features(Path("out/embed_image.npy")).gather(IDS)
    expected, there = open_table(Path("data/shop") / VISUAL).gather(IDS)
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(present, there)


def test_it_gives_the_same_table(shop: Path) -> None:
    run("export", "shop", "--to", "recom_data", "--out", "out")
    twin = VISUAL.replace("_32", "_indexed_32")
    loader = {"dataloader": "VisualAttribute", "visual_features": f"data/shop/{twin}", "missing": "zeros"}
    paths = {f"{part}_path": f"data/shop/{name}_indexed.tsv" for part, name in PARTS.items()}
    ours = {"strategy": "fixed", **paths, "side_information": [loader]}
    figures = []
    for name, data in {"ours": ours, "theirs": {"strategy": "recom_data", "dataset_path": "out"}}.items():
        content = {
            "dataset": name,
            "top_k": 3,
            "binarize": True,
            "data_config": data,
            "evaluation": {"simple_metrics": ["Recall", "nDCG"], "cutoffs": [3]},
            "models": {"external.VBPR": {"epochs": 3, "batch_size": 64, "factors": 4, "lr": 0.05}},
        }
        Path(f"{name}.yml").write_text(yaml.safe_dump({"experiment": content}))
        table = (run_experiment(f"{name}.yml") / "results.tsv").read_text().splitlines()
        figures.append([line.split("\t")[:3] for line in table])
    assert figures[0] == figures[1]


def test_an_import_becomes_a_data_folder(shop: Path) -> None:
    run("export", "shop", "--to", "recom_data", "--out", "out")
    run("import", "out", "--from", "recom_data", "--dataset", "again")
    for name in PARTS.values():
        again, before = (read_interactions(Path("data") / each / f"{name}.tsv") for each in ("again", "shop"))
        assert pairs_of(again) == pairs_of(before)
    table = open_table(Path("data/again/visual_embeddings/recom_data/image/1"))
    values, present = table.gather(IDS)
    expected, there = open_table(Path("data/shop") / VISUAL).gather(IDS)
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(present, there)
    assert not Path("data/again/textual_embeddings").exists()


def test_features_of_zeros_are_told(shop: Path, log: list[str]) -> None:
    table = Path("data/shop/textual_embeddings/st/m/1")
    write_table(table, IDS, np.eye(len(IDS), 4, dtype=np.float32))
    run("export", "shop", "--to", "recom_data", "--out", "out")
    assert any("embed_text.npy: the features of" in line and "read back as none" in line for line in log)


def test_an_import_takes_no_columns(shop: Path) -> None:
    with pytest.raises(UserError, match="recom_data knows its files"):
        run("import", "data", "--from", "recom_data", "--dataset", "x", "--columns", "user=a,item=b")
