"""Sets of features as rows of the table: named ones, and alternatives of a loader; what is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from experiment_cases import N_ITEMS, QUICK, TEXTUAL, VISUAL, experiment, results, split_quietly
from hypothesis import given, settings
from hypothesis import strategies as st
from support import write_table

from benchmark.config.experiment import read_experiment_config
from benchmark.config.feature_sets import short_names
from benchmark.experiment import fold as fold_module
from benchmark.experiment import run_experiment
from benchmark.measures import plan_measures
from workbench.errors import UserError

VBPR: dict[str, Any] = {**QUICK, "lr": 0.05}
IMAGES = "../data/{0}/visual_embeddings_indexed_32"
OTHER = "transformers/org/clip-vit/pooler"


def visual(path: str | list[str] = f"{IMAGES}/{VISUAL}", **keys: Any) -> dict[str, Any]:
    return {"dataloader": "VisualAttribute", "visual_features": path, **keys}


def textual(path: str | list[str] = f"../data/{{0}}/textual_embeddings_indexed_32/{TEXTUAL}") -> dict[str, Any]:
    return {"dataloader": "TextualAttribute", "textual_features": path}


@pytest.fixture
def gallery(shop: Path) -> Path:
    """The shop with the features of two more image encoders."""
    rng = np.random.default_rng(5)
    for path in (OTHER, "torch/VGG/fc"):
        table = shop / "data" / "shop" / "visual_embeddings_32" / path
        write_table(
            table, [f"i{item}" for item in range(N_ITEMS)], rng.standard_normal((N_ITEMS, 5)).astype(np.float32)
        )
    split_quietly()
    return shop


def run(place: Path, side: Any, models: dict[str, Any], name: str = "x", **data: Any) -> Path:
    return run_experiment(experiment(place, models, name=name, data_config={"side_information": side, **data}))


def journal(folder: Path, kind: str = "trial") -> dict[str, dict[str, Any]]:
    """Records of a kind by key."""
    records = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    return {record["key"]: record for record in records if record["kind"] == kind}


NAMED = {"dataloader": "Attribute", "name": "a"}
SETS = {
    "resnet+sbert": [visual(), textual()],
    "clip": [visual(f"{IMAGES}/{OTHER}"), textual()],
    "visual only": [visual()],
}


def test_named_sets_are_rows_of_the_models_that_read_features(gallery: Path) -> None:
    folder = run(gallery, SETS, {"external.VBPR": VBPR, "MostPop": None})
    table = results(folder)
    rows = ["VBPR [resnet+sbert]", "VBPR [clip]", "VBPR [visual only]"]
    assert list(table) == [*rows, "MostPop"]
    assert len({table[row]["nDCG@10"] for row in rows}) == 3
    assert (folder / "per_user" / "VBPR_[visual_only].npz").is_file()
    for name, side in SETS.items():
        alone = results(run(gallery, side, {"external.VBPR": VBPR}, name="alone"))
        assert alone["VBPR"]["nDCG@10"] == table[f"VBPR [{name}]"]["nDCG@10"]


def test_paths_of_one_loader_are_alternatives_and_lists_of_several_are_combined(gallery: Path) -> None:
    paths = [f"{IMAGES}/{each}" for each in (VISUAL, OTHER, "torch/VGG/fc")]
    table = results(run(gallery, [visual(paths)], {"external.VBPR": VBPR, "MostPop": None}))
    assert list(table) == ["VBPR [R]", "VBPR [clip-vit]", "VBPR [VGG]", "MostPop"]
    twin = textual([textual()["textual_features"], f"{IMAGES}/{VISUAL}"])
    table = results(run(gallery, [visual(paths[:2]), twin], {"external.VBPR": {**VBPR, "epochs": 1}}))
    assert list(table) == [f"VBPR [{image}+{text}]" for image in ("R", "clip-vit") for text in ("name", "R")]


def test_controls_and_missing_rates_are_said_of_each_set(gallery: Path) -> None:
    side = {"a": [visual(control="shuffled", missing="mean")], "b": [visual(missing="mean")]}
    table = results(run(gallery, side, {"external.VBPR": {**VBPR, "epochs": 1}}, missing_rate=[0, 0.5]))
    control = "VBPR [a] visual=shuffled missing="
    assert list(table) == [f"{control}0", f"{control}0.5", "VBPR [b] missing=0", "VBPR [b] missing=0.5"]


def test_what_a_model_does_not_read_of_a_set_trains_nothing_again(gallery: Path) -> None:
    folder = run(gallery, [visual()], {"external.VBPR": VBPR})
    (before,) = journal(folder)
    run(
        gallery,
        {"a": [visual(), textual()], "b": [textual(), visual()]},
        {"external.VBPR": {**VBPR, "modalities": "visual"}},
    )
    (key,) = [key for key, record in journal(folder).items() if record["params"]["modalities"] == ["visual"]]
    assert len(journal(folder)) == 2 and key != before, "one trial for both sets"
    run(gallery, {"a": [visual()]}, {"external.VBPR": VBPR})
    assert len(journal(folder)) == 2, "a set by another name is the same set"
    run(gallery, {"a": [textual(), visual()]}, {"external.VBPR": VBPR})
    run(gallery, {"a": [visual(), textual()]}, {"external.VBPR": VBPR})
    assert len(journal(folder)) == 4, "the order in which a model joins them counts"


def test_one_loader_without_a_list_is_a_list_of_one(gallery: Path) -> None:
    one = run(gallery, visual(), {"external.VBPR": VBPR})
    assert list(results(one)) == ["VBPR"]
    assert (
        results(one)["VBPR"]["nDCG@10"]
        == results(run(gallery, [visual()], {"external.VBPR": VBPR}, "y"))["VBPR"]["nDCG@10"]
    )
    assert list(results(run(gallery, {"a": visual()}, {"external.VBPR": VBPR}))) == ["VBPR [a]"]


def test_a_table_is_read_once_for_all_sets_and_before_anything_is_trained(
    gallery: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    real = fold_module.load_features
    monkeypatch.setattr(
        fold_module, "load_features", lambda file, side, *rest: read.append(side.path) or real(file, side, *rest)
    )
    run(gallery, SETS, {"external.VBPR": {**VBPR, "epochs": 1}})
    assert len(read) == len(set(read)) == 3
    read.clear()
    monkeypatch.setattr(fold_module, "HELD_BYTES", 0)
    run(gallery, SETS, {"external.VBPR": {**VBPR, "epochs": 2}})
    assert len(read) > 3, "the shelf holds one fold only"
    broken = gallery / "data" / "shop" / "visual_embeddings_indexed_32" / OTHER
    with pytest.raises(UserError, match="no feature table there"):
        run(gallery, {**SETS, "broken": [visual(f"{broken}/no")]}, {"external.VBPR": {**VBPR, "epochs": 2}}, name="new")
    assert not (gallery / "results" / "shop" / "new").exists()


def test_modality_sets_in_a_list_are_a_grid_that_validation_chooses_from(shop: Path) -> None:
    models = {"external.VBPR": {**VBPR, "modalities": [["visual"], ["textual"], ["visual", "textual"]]}}
    folder = run_experiment(experiment(shop, models))
    assert list(results(folder)) == ["VBPR"]
    assert [each["params"]["modalities"] for each in journal(folder).values()] == [
        ["visual"], ["textual"], ["visual", "textual"],
    ]  # fmt: skip


# --- refusals


def refused(place: Path, side: Any, models: dict[str, Any] | None = None, **data: Any) -> tuple[UserError, str]:
    """What is said, and the line of the file that it names."""
    path = experiment(place, models or {"MostPop": None}, data_config={"side_information": side, **data})
    with pytest.raises(UserError) as caught:
        run_experiment(path)
    assert not (place / "results").exists(), "before anything is trained"
    line = str(caught.value.where).removeprefix(f"{path}:")
    return caught.value, path.read_text().splitlines()[int(line) - 1].strip()


def test_a_modality_that_one_set_lacks_is_named_with_model_set_and_line(gallery: Path) -> None:
    models = {"external.VBPR": {**VBPR, "modalities": "('visual', 'textual')"}}
    error, line = refused(gallery, SETS, models)
    path = gallery / "config_files" / "x.yml"
    at = next(number for number, text in enumerate(path.read_text().splitlines(), 1) if "visual only" in text)
    assert error.what == f"VBPR with the features `visual only` ({path}:{at}): the model wants the modality 'textual'"
    assert line.startswith("modalities:") and "loaded: visual" in str(error.mend)
    del models["external.VBPR"]["modalities"]
    assert len(results(run(gallery, SETS, models))) == 3, "it reads what the set has"


@pytest.mark.parametrize(
    ("side", "what", "line"),
    [
        ({}, "names no set", "side_information: {}"),
        ("x", "should be a list of loaders", "side_information: x"),
        (7, "should be a list of loaders", "side_information: 7"),
        ({"a": []}, "the set 'a' should be a list of loaders", "a: []"),
        ({"a": {"visual_features": "x"}}, "the set 'a' should be a list of loaders", "a:"),
        ({"visual_features": "x"}, "the set 'visual_features' should be a list of loaders", "visual_features: x"),
        ({"a/b": [visual("x")]}, "'a/b' cannot name a set", "a/b:"),
        ({"a[b": [visual("x")]}, "cannot name a set", "a[b:"),
        ({"": [visual("x")]}, "'' cannot name a set", "? ''"),
        ({7: [visual("x")]}, "7 cannot name a set", "7:"),
        ({"a": [visual("x")], "A": [visual("y")]}, "would be called a and A", "A:"),
        ({"a": [visual("x"), visual("y")]}, "two loaders of one modality: visual, visual", "a:"),
        ({"a": [visual("x")], "b": [visual("x", missin="mean")]}, "unknown key", "missin: mean"),
        ({"a": [visual("x")], "b": [{"dataloader": "Visual"}]}, "dataloader`", "- dataloader: Visual"),
        ({"a": ["x"]}, "should be a mapping", "- x"),
        ([visual(["x", "x"])], "visual_features names a path twice", "- dataloader: VisualAttribute"),
        ([visual(["x", ""])], "an empty one", "- dataloader: VisualAttribute"),
        ([visual([])], "takes the key visual_features, given: none", "- dataloader: VisualAttribute"),
        ([visual(["x", 3])], "visual_features", "- 3"),
        ([{**NAMED, "features": ["x.npy", "y"], "ids": "i"}], "`ids`", "- dataloader: Attribute"),
        ({"a": [visual("x", missing="drop")], "b": [visual("y")]}, "each set of features leaves", "data_config:"),
    ],
)  # fmt: skip
def test_what_is_no_set_is_refused_with_its_line(place: Path, side: Any, what: str, line: str) -> None:
    error, found = refused(place, side)
    assert what in error.what
    assert found.startswith(line)


def test_keys_of_the_settings_that_are_none_of_the_file_are_unknown_there(place: Path) -> None:
    path = experiment(place, {"MostPop": None}, data_config={"feature_sets": []})
    with pytest.raises(UserError, match=r"unknown key `experiment.data_config.feature_sets`"):
        run_experiment(path)
    with pytest.raises(UserError, match=r"unknown key `experiment.random_seeds`.*\n.*'random_seed'"):
        run_experiment(experiment(place, {"MostPop": None}, random_seeds=[1]))


def test_the_record_of_the_protocol_names_every_loader_once(gallery: Path) -> None:
    path = experiment(gallery, {"MostPop": None}, data_config={"side_information": SETS})
    file = read_experiment_config(path)
    record = plan_measures(file).record(file.experiment)
    assert len(record["side_information"]) == 3


# --- labels


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["o/torch/ResNet50/avgpool", "o/hf/openai/clip-vit-base-patch16/1"], ["ResNet50", "clip-vit-base-patch16"]),
        (["o/torch/ResNet50/avgpool", "o/torch/ResNet50/layer4"], ["avgpool", "layer4"]),
        (["o/torch/R/pool", "o/tf/R/pool"], ["torch", "tf"]),
        (["o/torch/R50/a", "o/torch/R50/b", "o/torch/R18/a"], ["R50/a", "R50/b", "R18/a"]),
        (["a/image.npy", "a/text.npy"], ["image", "text"]),
        (["a/x.npy", "b/x.npy"], ["a", "b"]),
        (["x.npy", "x"], ["1", "2"]),
        (["m/a b[1]", "m/c"], ["a_b_1_", "c"]),
        (["one"], ["1"]),
        (["o/r/pool", "p/R/pool"], ["o", "p"]),
    ],
)  # fmt: skip
def test_a_short_name_is_what_tells_a_path_from_the_others(paths: Sequence[str], names: list[str]) -> None:
    assert short_names(paths) == names


@given(st.lists(st.text("aB/.\n[", min_size=1, max_size=8), min_size=1, max_size=6, unique=True))
@settings(max_examples=200, deadline=None)
def test_short_names_are_names_of_files_whatever_the_paths(paths: list[str]) -> None:
    names = short_names(paths)
    assert len({name.casefold() for name in names}) == len(paths)
    assert all(name and not set(name) & set("\n[]") for name in names)
