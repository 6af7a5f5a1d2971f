"""Several seeds of the split, and several data sets, in one experiment file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from bench_cases import read_rows
from experiment_cases import QUICK, TEXTUAL, VISUAL, experiment

from benchmark.config.experiment import read_experiment_config, read_experiment_configs
from benchmark.experiment import run_experiment
from workbench.errors import UserError

BPRMF = {"external.BPRMF": {**QUICK, "lr": 0.05, "l_w": 0.01}}
RANDOM = {"strategy": "random_hold_out", "test_ratio": 0.2}
BY_TIME = {"strategy": "temporal_hold_out", "test_ratio": 0.2}
LAST = {"validation_splitting": BY_TIME}
NO_PARTS = {"train_path": None, "validation_path": None, "test_path": None}
CUT: dict[str, Any] = {
    "data_config": {
        **NO_PARTS, "strategy": "dataset", "dataset_path": "../data/{0}/reviews.tsv", "side_information": None
    },
    "splitting": {"test_splitting": RANDOM, "validation_splitting": RANDOM},
}  # fmt: skip


def everything(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "results.json").read_text()))


def trials(folder: Path) -> set[str]:
    records = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    return {record["key"] for record in records if record["kind"] == "trial"}


# --- seeds of the split


def test_every_seed_makes_a_test_fold_that_is_the_experiment_under_that_seed(shop: Path) -> None:
    changes = {**CUT, "negative_sampling": {"strategy": "random", "num_items": 5}}
    folder = run_experiment(experiment(shop, BPRMF, random_seed=[42, 43, 44], **changes))
    (model,) = everything(folder)["models"]
    per_user = np.load(folder / "per_user" / "BPRMF.npz", allow_pickle=True)
    assert set(per_user["folds"].tolist()) == {0, 1, 2}
    apart = [
        run_experiment(experiment(shop, BPRMF, name=f"s{seed}", random_seed=seed, **changes)) for seed in (42, 43, 44)
    ]
    for one, alone in zip(model["replicates"], apart, strict=True):
        assert one["test"] == pytest.approx(everything(alone)["models"][0]["test"])
    assert len({each["test"]["nDCG@10"] for each in model["replicates"]}) == 3
    assert trials(folder) == set().union(*map(trials, apart)), "the same trials, under the same keys"
    for fold, each in enumerate(apart):
        assert (folder / f"negative_{fold}.tsv").read_bytes() == (each / "negative.tsv").read_bytes()


def test_folds_of_a_rule_follow_each_other_seed_by_seed(shop: Path) -> None:
    folds = {"strategy": "random_k_fold", "folds": 2}
    changes = {**CUT, "splitting": {"test_splitting": folds, "validation_splitting": RANDOM}}
    many = everything(run_experiment(experiment(shop, BPRMF, random_seed=[1, 2], **changes)))["models"][0]["replicates"]
    assert [each["fold"] for each in many] == [0, 1, 2, 3]
    one = everything(run_experiment(experiment(shop, BPRMF, name="two", random_seed=2, **changes)))["models"][0]
    for fold in range(2):
        assert many[2 + fold]["test"] == one["replicates"][fold]["test"]


def test_features_are_taken_away_under_the_seed_of_the_split(shop: Path) -> None:
    side = [
        {
            "dataloader": "VisualAttribute",
            "visual_features": f"../data/shop/visual_embeddings_32/{VISUAL}",
            "missing": "random",
        }
    ]
    models = {"external.VBPR": {**QUICK, "lr": 0.05}}
    data = {**CUT["data_config"], "side_information": side, "missing_rate": 0.5}
    changes = {**CUT, "data_config": data}
    folder = run_experiment(experiment(shop, models, random_seed=[1, 2], **changes))
    apart = [run_experiment(experiment(shop, models, name=f"s{seed}", random_seed=seed, **changes)) for seed in (1, 2)]
    assert trials(folder) == set().union(*map(trials, apart))


def test_a_validation_part_that_is_drawn_from_ready_parts_has_seeds(shop: Path) -> None:
    changes: dict[str, Any] = {"data_config": {"validation_path": None}, "splitting": {"validation_splitting": RANDOM}}
    folder = run_experiment(experiment(shop, BPRMF, random_seed=[1, 2], **changes))
    (model,) = everything(folder)["models"]
    assert len(model["replicates"]) == 2 and model["replicates"][0]["test"] != model["replicates"][1]["test"]


def test_saved_splits_of_all_seeds_stand_side_by_side(shop: Path) -> None:
    saved = {**CUT["splitting"], "save_on_disk": True, "save_folder": "../saved"}
    run_experiment(experiment(shop, {"MostPop": None}, random_seed=[1, 2], **{**CUT, "splitting": saved}))
    first, second = (read_rows(shop / "saved" / name / "test.tsv") for name in "01")
    assert sorted(first) != sorted(second)


@pytest.mark.parametrize(
    ("changes", "what", "line"),
    [
        ({**CUT, "splitting": {"test_splitting": BY_TIME, **LAST}}, "the same under the seeds 7 and 8", "random_seed:"),
        ({"data_config": {"validation_path": None}, "splitting": LAST}, "the same under the seeds 7", "random_seed:"),
        ({}, "the strategy fixed reads ready parts", "experiment:"),
        ({**CUT, "random_seed": [7, 7]}, "names a seed twice", "experiment:"),
        ({**CUT, "random_seed": [7, -1]}, "random_seed.1`", "- -1"),
        ({**CUT, "random_seed": []}, "random_seed`", "random_seed: []"),
    ],
)  # fmt: skip
def test_seeds_that_draw_nothing_are_refused(shop: Path, changes: dict[str, Any], what: str, line: str) -> None:
    path = experiment(shop, {"MostPop": None}, **{"random_seed": [7, 8], **changes})
    with pytest.raises(UserError) as caught:
        run_experiment(path)
    assert what in caught.value.what
    number = int(str(caught.value.where).removeprefix(f"{path}:"))
    assert path.read_text().splitlines()[number - 1].strip().startswith(line)
    assert not (shop / "results").exists()


# --- data sets


def test_a_list_of_data_sets_is_a_file_for_each(shop: Path) -> None:
    shutil.copytree(shop / "data" / "shop", shop / "data" / "stall")
    files = read_experiment_configs(experiment(shop, {"MostPop": None}, dataset=["shop", "stall"]))
    assert [file.experiment.dataset for file in files] == ["shop", "stall"]
    assert [file.document.data["experiment"]["dataset"] for file in files] == ["shop", "stall"]
    assert [file.path("{0}/x").name for file in files] == ["x", "x"]
    for file, name in zip(files, ("shop", "stall"), strict=True):
        assert file.path("../data/{0}/reviews.tsv").parent.name == name
    with pytest.raises(UserError, match="2 data sets, and one is expected here") as caught:
        read_experiment_config(shop / "config_files" / "x.yml")
    assert str(caught.value.where).endswith("x.yml:2")


def test_what_is_without_effect_is_named_once_for_all_data_sets(place: Path, log: list[str]) -> None:
    side = {"dataloader": "VisualAttribute", "visual_features": ["x", "y"], "images_src_folder": "z"}
    path = experiment(
        place, {"MostPop": None}, dataset=["a", "b", "c"], version="1", data_config={"side_information": [side]}
    )
    files = read_experiment_configs(path)
    assert len(files) == 3 and [each.name for each in files[2].experiment.data_config.feature_sets] == ["x", "y"]
    assert len([line for line in log if "no effect" in line]) == 2


@pytest.mark.parametrize(
    ("dataset", "what"),
    [
        ([], "names no data set"),
        (["a", "a"], "names a data set twice"),
        (["a", "../b"], "plain name of a folder"),
        (["a", 3], "dataset`"),
        (["a", ["b"]], "dataset`"),
    ],
)
def test_what_is_no_list_of_data_sets_is_refused(place: Path, dataset: list[Any], what: str) -> None:
    path = experiment(place, {"MostPop": None}, dataset=dataset)
    with pytest.raises(UserError) as caught:
        read_experiment_configs(path)
    assert what in caught.value.what
    assert str(caught.value.where) == f"{path}:2"


def test_overrides_are_made_before_anything_is_checked(place: Path) -> None:
    path = experiment(place, {"MostPop": None}, dataset="a")
    (file,) = read_experiment_configs(path, [("experiment.dataset", "b"), ("experiment.top_k", "20")])
    assert (file.experiment.dataset, file.experiment.top_k) == ("b", 20)
    assert len(read_experiment_configs(path, [("experiment.dataset", "[a, b]")])) == 2
    with pytest.raises(UserError, match="topk"):
        read_experiment_configs(path, [("experiment.topk", "20")])


def test_the_text_of_a_file_is_the_file_unless_it_ran_as_another(place: Path) -> None:
    path = experiment(place, {"MostPop": None}, dataset="a")
    written = "# a remark\n" + path.read_text()
    path.write_text(written)
    assert read_experiment_config(path).text == written
    (changed,) = read_experiment_configs(path, [("experiment.top_k", "20")])
    assert yaml.safe_load(changed.text)["experiment"]["top_k"] == 20
    listed = experiment(place, {"MostPop": None}, name="y", dataset=["a", "b"])
    texts = [yaml.safe_load(file.text)["experiment"] for file in read_experiment_configs(listed)]
    assert [text["dataset"] for text in texts] == ["a", "b"] and texts[0]["models"] == {"MostPop": None}
    copy = place / "config_files" / "z.yml"
    copy.write_text(read_experiment_configs(listed)[1].text)
    assert read_experiment_config(copy).experiment == read_experiment_configs(listed)[1].experiment


def test_threads_are_a_positive_number(place: Path) -> None:
    assert read_experiment_config(experiment(place, {"MostPop": None})).experiment.threads is None
    assert read_experiment_config(experiment(place, {"MostPop": None}, threads=2)).experiment.threads == 2
    with pytest.raises(UserError, match="threads"):
        read_experiment_config(experiment(place, {"MostPop": None}, threads=0))


def test_paths_below_a_data_set_lead_to_its_own_features(shop: Path) -> None:
    shutil.copytree(shop / "data" / "shop", shop / "data" / "stall")
    first, second = read_experiment_configs(experiment(shop, {"MostPop": None}, dataset=["shop", "stall"]))
    for file, name in ((first, "shop"), (second, "stall")):
        (_, text) = file.experiment.data_config.side_information
        assert file.path(text.path).parts[-6:] == (name, "textual_embeddings_indexed_32", *TEXTUAL.split("/"))
