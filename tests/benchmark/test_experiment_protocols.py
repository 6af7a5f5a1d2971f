"""`run_experiment.py` under every protocol: folds, seeds, cold starts, sampled candidates, other systems' ways."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench_cases import random_reviews, read_rows, write_rows
from experiment_cases import QUICK, experiment, results

from benchmark.experiment import run_experiment
from workbench.errors import UserError

BPRMF = {"external.BPRMF": {**QUICK, "lr": 0.05, "l_w": 0.01}}
GRID = {"external.BPRMF": {**QUICK, "lr": [0.001, 0.05, 0.2], "l_w": 0.01}}
FROM_REVIEWS: dict[str, Any] = {
    "strategy": "dataset",
    "dataset_path": "../data/{0}/reviews.tsv",
    "train_path": None,
    "validation_path": None,
    "test_path": None,
    "side_information": None,
}


def everything(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "results.json").read_text()))


def split(**rules: Any) -> dict[str, Any]:
    """Changes of the base file that cut the reviews by these rules."""
    return {"data_config": FROM_REVIEWS, "splitting": rules}


def rule(strategy: str, **keys: Any) -> dict[str, Any]:
    return {"strategy": strategy, **keys}


# --- folds and seeds


def test_nested_folds_choose_in_each_test_fold_and_pool_their_users(shop: Path) -> None:
    changes = split(test_splitting=rule("random_k_fold", folds=3), validation_splitting=rule("random_k_fold", folds=2))
    folder = run_experiment(experiment(shop, {**GRID, "MostPop": None}, **changes))
    model, popular = everything(folder)["models"]
    assert len(model["trials"]) == 3 * 2 * 3, "test folds x validation folds x configurations"
    assert [len(fold) for fold in model["chosen"]] == [2, 2, 2]
    assert len(model["replicates"]) == 3 * 2
    assert [(each["fold"], each["validation_fold"]) for each in model["replicates"]] == [
        (test, validation) for test in range(3) for validation in range(2)
    ]
    by_fold: list[list[dict[str, Any]]] = [model["trials"][start : start + 6] for start in (0, 6, 12)]
    for fold, trials in enumerate(by_fold):
        means = [np.mean([t["validation"]["Recall@5"] for t in trials[place : place + 2]]) for place in (0, 2, 4)]
        best = int(np.argmax(means))
        assert model["chosen"][fold][0]["params"]["lr"] == [0.001, 0.05, 0.2][best]
    per_user = np.load(folder / "per_user" / "BPRMF.npz")
    assert per_user["Recall@5"].shape == (2, model["users"])
    judged = list(zip(per_user["folds"].tolist(), per_user["users"].tolist(), strict=True))
    assert {fold for fold, _ in judged} == {0, 1, 2}
    assert len(set(judged)) == len(judged)
    assert per_user["Recall@5"].mean() == pytest.approx(model["test"]["Recall@5"])
    assert per_user["Recall@5"].mean(axis=1).std(ddof=1) == pytest.approx(model["spread"]["Recall@5"])
    assert popular["users"] == model["users"]


def test_seeds_repeat_what_was_chosen_and_the_table_shows_mean_and_deviation(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run_experiment(experiment(shop, {**GRID, "MostPop": None}, seeds=3))
    model, popular = everything(folder)["models"]
    assert [each["seed"] for each in model["replicates"]] == [1, 2, 3]
    assert len(model["trials"]) == 3, "the further seeds take no part in the choice"
    figures = [each["test"]["Recall@5"] for each in model["replicates"]]
    assert len(set(figures)) > 1
    assert model["test"]["Recall@5"] == pytest.approx(np.mean(figures))
    assert model["spread"]["Recall@5"] == pytest.approx(np.std(figures, ddof=1))
    assert popular["spread"] == {} and len(popular["replicates"]) == 1, "nothing is drawn there"
    printed = capsys.readouterr().out
    assert f"±{model['spread']['Recall@5']:.4f}" in printed
    assert "std Recall@5" in results(folder)["BPRMF"]

    one = run_experiment(experiment(shop, GRID, name="one"))
    assert everything(one)["models"][0]["test"] == pytest.approx(model["replicates"][0]["test"])
    named = run_experiment(experiment(shop, GRID, name="named", seeds=[3, 7]))
    assert everything(named)["models"][0]["replicates"][0]["test"] == model["replicates"][2]["test"]


def test_seeds_are_weighed_in_the_comparison_of_models(shop: Path) -> None:
    changes = {"evaluation": {"paired_ttest": True}, "seeds": 3}
    models = {**BPRMF, "MostPop": None, "Random": None}
    folder = run_experiment(experiment(shop, models, **changes))
    header, *lines = (folder / "significance.tsv").read_text().splitlines()
    columns = header.split("\t")
    rows = [dict(zip(columns, line.split("\t"), strict=True)) for line in lines]
    seeds = {(row["first"], row["second"]): (row["seeds_first"], row["seeds_second"]) for row in rows}
    assert seeds["BPRMF", "MostPop"] == ("3", "1")
    assert seeds["BPRMF", "Random"] == ("3", "3")


# --- cold starts


def test_users_without_training_rows_are_recommended_to_from_what_they_show(shop: Path) -> None:
    changes = split(recipe={"strategy": "mult_vae", "held_out_users": 8, "min_rows": 3})
    folder = run_experiment(experiment(shop, {"MostPop": None, "Random": None}, **changes))
    counts = everything(folder)["counts"]
    assert counts["test input"] > counts["test"] > 0
    (popular, _) = everything(folder)["models"]
    assert 0 < popular["users"] <= 8
    lists = run_experiment(experiment(shop, {"MostPop": {"meta": {"save_recs": True}}}, name="lists", **changes))
    assert len({row[0] for row in read_rows(lists / "recs" / "MostPop.tsv")}) == popular["users"]


def test_a_model_that_knows_training_users_only_says_so(shop: Path) -> None:
    changes = split(recipe={"strategy": "mult_vae", "held_out_users": 8, "min_rows": 3})
    with pytest.raises(UserError, match="BPRMF has weights for training users only") as caught:
        run_experiment(experiment(shop, {"MostPop": None, **BPRMF}, **changes))
    assert "x.yml:" in str(caught.value.where)
    assert not (shop / "results").exists(), "before anything is trained"


def test_new_items_can_be_candidates(shop: Path) -> None:
    changes = split(
        test_splitting=rule("item_cold_start", items=0.2), validation_splitting=rule("item_cold_start", items=0.2)
    )
    blind = run_experiment(experiment(shop, {"Random": None}, **changes))
    assert everything(blind)["models"][0]["test"]["Recall@10"] == 0.0, "new items are no training items"
    codes = [(each["code"], each["serious"]) for each in everything(blind)["guard"]]
    assert ("cold_items", True) in codes
    wide = run_experiment(experiment(shop, {"Random": None}, name="wide", evaluation={"candidates": "all"}, **changes))
    assert everything(wide)["models"][0]["test"]["Recall@10"] > 0
    assert everything(wide)["counts"]["items"] > everything(blind)["counts"]["items"]


# --- missing features


def test_missing_rates_are_an_axis_for_models_that_read_features(shop: Path) -> None:
    models = {"external.VBPR": {**QUICK, "lr": 0.05}, "MostPop": None}
    policy = {"policy": "multi_hop", "hops": 2, "top_k": 5}
    side = [
        {**side, "missing": policy}
        for side in (
            {
                "dataloader": "VisualAttribute",
                "visual_features": "../data/{0}/visual_embeddings_indexed_32/torch/R/pool",
            },
        )
    ]
    changes = {"data_config": {"side_information": side, "missing_rate": [0, 0.3, 0.6]}}
    folder = run_experiment(experiment(shop, models, **changes))
    table = results(folder)
    assert list(table) == ["VBPR missing=0", "VBPR missing=0.3", "VBPR missing=0.6", "MostPop"]
    assert len({table[name]["nDCG@10"] for name in table}) == 4
    assert (folder / "per_user" / "VBPR_missing=0.3.npz").is_file()
    plain = run_experiment(experiment(shop, models, name="plain", data_config={"side_information": side}))
    assert results(plain)["VBPR"]["nDCG@10"] == table["VBPR missing=0"]["nDCG@10"]


def test_items_without_features_can_leave_the_data_set(shop: Path, log: list[str]) -> None:
    path = "../data/{0}/visual_embeddings_indexed_32/torch/R/pool"
    side = [{"dataloader": "VisualAttribute", "visual_features": path, "missing": "drop"}]
    models = {"external.VBPR": {**QUICK, "lr": 0.05}}
    whole = run_experiment(experiment(shop, models, data_config={"side_information": side}))
    changes = {"data_config": {"side_information": side, "missing_rate": 0.5}}
    fewer = run_experiment(experiment(shop, models, name="fewer", **changes))
    assert everything(fewer)["counts"]["items"] < 0.7 * everything(whole)["counts"]["items"]


def test_several_missing_rates_under_drop_would_be_several_data_sets_in_one_table(shop: Path) -> None:
    path = "../data/{0}/visual_embeddings_indexed_32/torch/R/pool"
    side = [{"dataloader": "VisualAttribute", "visual_features": path, "missing": "drop"}]
    changes = {"data_config": {"side_information": side, "missing_rate": [0, 0.5]}}
    with pytest.raises(UserError, match="each missing_rate leaves another data set"):
        run_experiment(experiment(shop, {"MostPop": None}, **changes))


# --- candidates, slices, lists


def test_sampled_candidates_are_labelled_wherever_they_count(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes = {"negative_sampling": {"strategy": "random", "num_items": 5}}
    folder = run_experiment(experiment(shop, {**BPRMF, "Random": None}, **changes))
    label = "sampled candidates: 5 random negatives a user, seed 42"
    assert everything(folder)["protocol"]["candidates"] == label
    printed = capsys.readouterr().out
    assert label in printed and "\nfigures (5 neg.)\n" in printed
    assert "Recall@5 (5 neg.)" in results(folder)["Random"]
    full = run_experiment(experiment(shop, {**BPRMF, "Random": None}, name="full"))
    sampled, whole = (everything(each)["models"][1]["test"]["Recall@10"] for each in (folder, full))
    assert sampled > whole
    lines = (folder / "negative.tsv").read_text().splitlines()
    assert len(lines) == everything(folder)["models"][0]["users"]
    fixed = {"negative_sampling": {"strategy": "fixed", "files": [str((folder / "negative.tsv").resolve())] * 2}}
    again = run_experiment(experiment(shop, {"Random": None}, name="fixed", **fixed))
    assert everything(again)["models"][0]["test"] == everything(folder)["models"][1]["test"]


def test_slices_of_users_and_items_are_measured_and_written(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    users = sorted({row[0] for row in read_rows(shop / "data" / "shop" / "train_indexed.tsv")})
    write_rows(shop / "gender.tsv", [(user, "fm"[int(user) % 2]) for user in users])
    slices = {"user_activity": 2, "item_popularity": 3, "new_items": True, "modality_coverage": True}
    slices["users"] = "../gender.tsv"
    models = {"MostPop": None, "Random": None}
    folder = run_experiment(experiment(shop, models, evaluation={"slices": slices}))
    header, *lines = [line.split("\t") for line in (folder / "slices.tsv").read_text().splitlines()]
    rows = [dict(zip(header, line, strict=True)) for line in lines]
    groups = {(row["slice"], row["group"]) for row in rows if row["model"] == "MostPop"}
    assert {name for name, _ in groups} == {
        *("all", "user_activity", "item_popularity", "new_items", "modality_coverage", "gender"),
    }
    whole = next(row for row in rows if row["model"] == "MostPop" and row["slice"] == "all")
    assert float(whole["Recall@5"]) == pytest.approx(float(results(folder)["MostPop"]["Recall@5"]), abs=1e-6)
    gender = [row for row in rows if row["model"] == "MostPop" and row["slice"] == "gender"]
    weighted = sum(int(row["users"]) * float(row["Recall@5"]) for row in gender) / sum(
        int(row["users"]) for row in gender
    )
    assert weighted == pytest.approx(float(whole["Recall@5"]), abs=1e-6)
    assert "Recall@5 by groups" in capsys.readouterr().out


def test_a_models_own_lists_read_back_give_its_figures(shop: Path) -> None:
    first = run_experiment(
        experiment(shop, {"external.BPRMF": {**BPRMF["external.BPRMF"], "meta": {"save_recs": True}}})
    )
    models = {
        "external.BPRMF": BPRMF["external.BPRMF"],
        "ProxyRecommender": {"path": str((first / "recs" / "BPRMF.tsv").resolve()), "name": "read back"},
    }
    folder = run_experiment(experiment(shop, models, name="proxy", evaluation={"paired_ttest": True}))
    table = results(folder)
    assert list(table) == ["BPRMF", "read back"]
    for metric in ("Recall@5", "nDCG@10", "HR@10"):
        assert table["read back"][metric] == table["BPRMF"][metric]
    own, read = (np.load(folder / "per_user" / f"{stem}.npz") for stem in ("BPRMF", "read_back"))
    assert all(np.array_equal(own[name], read[name]) for name in own.files)


def test_metrics_of_the_whole_system_and_those_with_arguments_stand_beside_the_others(shop: Path) -> None:
    users = sorted({row[0] for row in read_rows(shop / "data" / "shop" / "train_indexed.tsv")})
    write_rows(shop / "gender.tsv", [(user, "fm"[int(user) % 2]) for user in users])
    evaluation = {
        "simple_metrics": ["Gini", "ItemCoverage", "ARP", "AUC", "recall", "RMSE"],
        "complex_metrics": [{"metric": "clustered_nDCG", "user_clustering_file": "../gender.tsv"}],
    }
    folder = run_experiment(experiment(shop, {"MostPop": None, **BPRMF}, evaluation=evaluation))
    table = results(folder)
    assert {"Gini@5", "ItemCoverage@10", "AUC@5", "RMSE@10", "clustered_nDCG[gender=f]@5"} <= set(table["BPRMF"])
    assert float(table["MostPop"]["ItemCoverage@5"]) < float(table["BPRMF"]["ItemCoverage@5"])
    assert table["BPRMF"]["validation_metric"] == "Recall@5", "the first metric of accuracy"


def test_a_metric_of_which_less_is_better_cannot_choose(shop: Path) -> None:
    models = {"external.BPRMF": {**QUICK, "meta": {"validation_metric": "RMSE@5"}}}
    with pytest.raises(UserError, match="RMSE cannot choose: more of it is not better"):
        run_experiment(experiment(shop, models, evaluation={"simple_metrics": ["Recall", "RMSE"]}))


# --- ready parts without validation


def test_validation_can_be_held_out_of_a_ready_training_part(shop: Path) -> None:
    changes = {
        "data_config": {"validation_path": None, "side_information": None},
        "splitting": {"validation_splitting": rule("random_hold_out", test_ratio=0.2)},
    }
    folder = run_experiment(experiment(shop, GRID, **changes))
    counts = everything(folder)["counts"]
    rows = len(read_rows(shop / "data" / "shop" / "train_indexed.tsv"))
    lost = sum(each["count"] for each in everything(folder)["guard"] if each["text"].startswith("validation: "))
    assert counts["train"] + counts["validation"] + lost == rows
    assert counts["validation"] > 0.2 * counts["train"]


# --- other systems' protocols


def test_elliots_protocol_masks_training_items_only_and_chooses_on_test_without_a_validation_part(
    shop: Path, log: list[str]
) -> None:
    folder = run_experiment(experiment(shop, GRID, evaluation={"mask": None, "legacy": "elliot"}))
    plain = run_experiment(experiment(shop, GRID, name="plain", evaluation={"mask": "train"}))
    assert everything(folder)["models"][0]["test"] == everything(plain)["models"][0]["test"]
    assert any("not masked at test" in line for line in log)
    changes = {"data_config": {"validation_path": None}, "evaluation": {"mask": None, "legacy": "elliot"}}
    blind = run_experiment(experiment(shop, GRID, name="blind", **changes))
    (row,) = everything(blind)["models"]
    assert "chosen on test" in row["row"]
    best = max(trial["validation"]["Recall@5"] for trial in row["trials"])
    assert row["test"]["Recall@5"] == best
    assert any("ON THE TEST PART" in line for line in log)


def test_mmrecs_protocol_adds_the_row_that_is_chosen_on_test_and_reads_its_names(shop: Path) -> None:
    evaluation = {"mask": None, "legacy": "mmrec", "simple_metrics": ["Recall", "NDCG", "MAP"]}
    folder = run_experiment(experiment(shop, GRID, evaluation=evaluation))
    honest, best = everything(folder)["models"]
    assert (honest["row"], best["row"]) == ("BPRMF", "BPRMF (chosen on test)")
    assert set(honest["test"]) == {f"{name}@{k}" for name in ("Recall", "nDCG_binary", "MAP_standard") for k in (5, 10)}
    assert best["test"]["Recall@5"] >= honest["test"]["Recall@5"]
    for trial in honest["trials"]:
        assert trial["validation"]["Recall@5"] == round(trial["validation"]["Recall@5"], 4)
    singles = [
        everything(
            run_experiment(
                experiment(
                    shop,
                    {"external.BPRMF": {**GRID["external.BPRMF"], "lr": lr}},
                    name=f"lr{place}",
                    evaluation=evaluation,
                )
            )
        )["models"][0]["test"]["Recall@5"]
        for place, lr in enumerate((0.001, 0.05, 0.2))
    ]
    assert best["test"]["Recall@5"] == max(singles)


def test_a_legacy_protocol_and_its_opposite_are_refused_together(shop: Path) -> None:
    with pytest.raises(UserError, match="`legacy: elliot` means `mask: train`; remove one of the two"):
        run_experiment(experiment(shop, BPRMF, evaluation={"legacy": "elliot"}))


# --- the guard


def test_the_guard_speaks_in_the_log_and_in_the_results(shop: Path, log: list[str]) -> None:
    rows = random_reviews(3)
    write_rows(shop / "data" / "shop" / "reviews.tsv", rows)
    changes = split(test_splitting=rule("leave_one_out"), validation_splitting=rule("leave_one_out"))
    folder = run_experiment(experiment(shop, {"MostPop": None}, evaluation={"mask": "train"}, **changes))
    codes = {each["code"] for each in everything(folder)["guard"]}
    assert {"future_of_others", "validation_not_masked"} <= codes and "future_of_the_user" not in codes
    assert any("models learn from the future of other users" in line for line in log)
    later = split(
        test_splitting=rule("global_time", test_ratio=0.2), validation_splitting=rule("global_time", test_ratio=0.2)
    )
    sound = run_experiment(experiment(shop, {"MostPop": None}, name="later", **later))
    assert not {each["code"] for each in everything(sound)["guard"]} & {"future_of_others", "future_of_the_user"}


PEEKING = '''
"""A model that reads the file of the test part, which nobody gave to it."""

from pathlib import Path

import torch

from benchmark.models.base import Recommender


class Peeking(Recommender):
    def __init__(self, params, data):
        super().__init__()
        self.scores = torch.zeros(data.n_users, data.n_items)
        for line in Path(TEST).read_text().splitlines():
            user, item = (int(cell) for cell in line.split("\\t")[:2])
            self.scores[user, item] = 1

    def scorer(self):
        return lambda users: self.scores[users].clone()
'''


def test_a_model_that_peeks_at_the_test_part_is_suspected(shop: Path, log: list[str]) -> None:
    write_rows(shop / "data" / "shop" / "renumbered.tsv", renumbered(shop))
    (shop / "mine").mkdir()
    source = PEEKING.replace("TEST", repr(str(shop / "data" / "shop" / "renumbered.tsv")))
    (shop / "mine" / "peeking.py").write_text(source)
    models = {"Peeking": None, "MostPop": None, "Random": None}
    folder = run_experiment(experiment(shop, models, external_models_path="../mine"))
    findings = [each for each in everything(folder)["guard"] if each["code"] == "test_outshines_validation"]
    assert [each["text"].partition(":")[0] for each in findings] == ["Peeking"]
    assert any("know the test part?" in line for line in log)
    assert everything(folder)["models"][0]["test"]["HR@10"] > 0.99


def renumbered(shop: Path) -> list[tuple[int, int]]:
    """The test part under the numbers that a model sees: first appearance in the training part."""
    train = read_rows(shop / "data" / "shop" / "train_indexed.tsv")
    users, items = (
        {key: number for number, key in enumerate(dict.fromkeys(row[at] for row in train))} for at in (0, 1)
    )
    test = read_rows(shop / "data" / "shop" / "test_indexed.tsv")
    return [(users[row[0]], items[row[1]]) for row in test if row[0] in users and row[1] in items]


# --- nothing stale

FEATURES = "../data/{0}/visual_embeddings_indexed_32/torch/R/pool"


def one_loader(**changes: Any) -> dict[str, Any]:
    return {"side_information": [{"dataloader": "VisualAttribute", "visual_features": FEATURES, **changes}]}


def no_change(shop: Path) -> None:
    pass


def other_groups(shop: Path) -> None:
    write_rows(shop / "groups.tsv", [(str(user), "ab"[user % 3 == 0]) for user in range(60)])


def other_negatives(shop: Path) -> None:
    path = shop / "negatives.tsv"
    path.write_text("".join(line.rpartition("\t")[0] + "\n" for line in path.read_text().splitlines()))


BEFORE: dict[str, Any] = {"evaluation": {"slices": {"modality_coverage": True, "users": "../groups.tsv"}}}


@pytest.mark.parametrize(
    ("before", "after", "touch"),
    [
        (BEFORE, BEFORE, other_groups),
        (
            {**BEFORE, "data_config": {**one_loader(missing="zeros"), "missing_rate": 0.3}},
            {**BEFORE, "data_config": {**one_loader(missing="zeros"), "missing_rate": 0.6}},
            no_change,
        ),
        ({}, {"evaluation": {"mask": "train"}}, no_change),
        ({}, {"evaluation": {"relevance_threshold": 4}}, no_change),
        ({}, {"top_k": 20}, no_change),
        ({}, {"negative_sampling": {"strategy": "random", "num_items": 5}}, no_change),
        *(
            (sampled, sampled, other_negatives)
            for sampled in [{"negative_sampling": {"strategy": "fixed", "files": "../negatives.tsv"}}]
        ),
        *(
            (sampled, sampled, other_negatives)
            for sampled in [
                {"negative_sampling": {"strategy": "fixed", "files": ["../negatives.tsv", "../for_validation.tsv"]}}
            ]
        ),
        ({}, {"seeds": 2}, no_change),
        ({}, {"data_config": {"validation_path": None}}, no_change),
        (
            {
                "evaluation": {
                    "complex_metrics": [{"metric": "clustered_nDCG", "user_clustering_file": "../groups.tsv"}]
                }
            },
            {
                "evaluation": {
                    "complex_metrics": [{"metric": "clustered_nDCG", "user_clustering_file": "../groups.tsv"}]
                }
            },
            other_groups,
        ),
    ],
    ids=[
        *("groups", "missing_rate", "mask", "threshold", "top_k", "sampling", "negatives", "test negatives"),
        *("seeds", "no validation", "clustering"),
    ],
)
def test_what_is_changed_in_one_folder_gives_the_figures_of_a_fresh_one(
    shop: Path, before: dict[str, Any], after: dict[str, Any], touch: Callable[[Path], None]
) -> None:
    write_rows(shop / "groups.tsv", [(str(user), "ab"[user % 2]) for user in range(60)])
    items = [str(item) for item in range(40)]
    for name in ("negatives", "for_validation"):
        write_rows(shop / f"{name}.tsv", [(f"({user},)", *items) for user in range(60)])
    models = {"MostPop": {"meta": {"save_recs": True}}, **BPRMF}
    first = run_experiment(experiment(shop, models, name="same", **before))
    shown = files_of(first)
    touch(shop)
    changed = files_of(run_experiment(experiment(shop, models, name="same", **after)))
    fresh = files_of(run_experiment(experiment(shop, models, name="fresh", **after)))
    assert changed == fresh
    assert changed != shown, "the change does change something"


def files_of(folder: Path) -> dict[str, Any]:
    """Figures of all rows, groups included, and the ranked lists."""
    models = [
        {key: model[key] for key in ("row", "users", "test", "spread", "replicates")}
        for model in everything(folder)["models"]
    ]
    slices = folder / "slices.tsv"
    lists = {path.name: path.read_text() for path in (folder / "recs").glob("*.tsv")}
    return {"models": models, "slices": slices.read_text() if slices.is_file() else "", "lists": lists}


def test_a_helper_file_of_a_users_model_is_part_of_the_model(shop: Path) -> None:
    folder = shop / "mine"
    folder.mkdir()
    (folder / "_sign.py").write_text("SIGN = 1\n")
    (folder / "signed.py").write_text(
        "import runpy\nfrom pathlib import Path\n\nfrom external.models.most_pop import MostPop\n\n"
        "SIGN = runpy.run_path(str(Path(__file__).with_name('_sign.py')))['SIGN']\n\n\n"
        "class Signed(MostPop):\n    def scorer(self):\n        inner = super().scorer()\n"
        "        return lambda users: SIGN * inner(users)\n"
    )
    run = lambda: everything(run_experiment(experiment(shop, {"Signed": None}, external_models_path="../mine")))  # noqa: E731
    before = run()["models"][0]["test"]
    (folder / "_sign.py").write_text("SIGN = -1\n")
    assert run()["models"][0]["test"] != before


# --- replicates


def test_replicates_are_pooled_user_by_user_whatever_their_order(shop: Path) -> None:
    changes = split(test_splitting=rule("random_k_fold", folds=2), validation_splitting=rule("random_k_fold", folds=2))
    models = {"external.BPRMF": {**BPRMF["external.BPRMF"], "meta": {"save_recs": True}}}
    folder = run_experiment(experiment(shop, models, **changes))
    saved = np.load(folder / "per_user" / "BPRMF.npz")
    reviews = {(row[0], row[1]) for row in read_rows(shop / "data" / "shop" / "reviews.tsv")}
    folds = saved["folds"] if "folds" in saved.files else np.array([int(user.split("/")[0]) for user in saved["users"]])
    names = [user.split("/")[-1] for user in saved["users"].tolist()]
    for fold in range(2):
        for place in range(2):
            lists: dict[str, list[str]] = {}
            for user, item, _ in read_rows(folder / "recs" / f"BPRMF_{fold}_{place}_seed1.tsv"):
                lists.setdefault(user, []).append(item)
            for column in np.flatnonzero(folds == fold).tolist():
                hit = any((names[column], item) in reviews for item in lists[names[column]])
                assert saved["HR@10"][place, column] == float(hit), (
                    "a listed item of the reviews can only be a test item"
                )


# --- users who show rows


def test_lists_made_elsewhere_are_hidden_what_a_model_is_hidden(shop: Path) -> None:
    changes = split(recipe={"strategy": "mult_vae", "held_out_users": 10, "min_rows": 3})
    changes["evaluation"] = {"cutoffs": [5], "simple_metrics": ["Recall"]}
    models = {"MostPop": {"meta": {"save_recs": True}}}
    first = run_experiment(experiment(shop, models, name="first", top_k=40, **changes))
    path = str((first / "recs" / "MostPop.tsv").resolve())
    both = {"MostPop": None, "ProxyRecommender": {"path": path, "name": "read"}}
    folder = run_experiment(experiment(shop, both, name="both", **changes))
    own, read = everything(folder)["models"]
    assert own["test"] == read["test"]


def test_what_a_user_shows_is_not_recommended_to_him(shop: Path) -> None:
    changes = split(recipe={"strategy": "mult_vae", "held_out_users": 10, "min_rows": 3})
    changes["splitting"] |= {"save_on_disk": True, "save_folder": "../parts"}
    folder = run_experiment(experiment(shop, {"MostPop": {"meta": {"save_recs": True}}}, top_k=40, **changes))
    shown = {row[:2] for row in read_rows(shop / "parts" / "0" / "test_input.tsv")}
    listed = {row[:2] for row in read_rows(folder / "recs" / "MostPop.tsv")}
    assert {user for user, _ in listed} <= {user for user, _ in shown}
    assert not listed & shown
    wanted = {row[:2] for row in read_rows(shop / "parts" / "0" / "test.tsv")}
    assert wanted <= listed, "all other items are listed"


def test_a_user_who_trains_and_shows_rows_is_known_by_all_of_them(shop: Path) -> None:
    """A model that recommends nothing but what it knows is hidden all of it, and finds nothing."""
    source = (
        "import torch\n\nfrom benchmark.models.base import Recommender\n\n\nclass Known(Recommender):\n"
        "    def __init__(self, params, data):\n        super().__init__()\n"
        "        self.shape = data.n_users, data.n_items\n\n"
        "    def fold_in_scorer(self, histories):\n        counts = histories.indptr.diff()\n"
        "        assert (counts > 0).all(), 'somebody has no history'\n        scores = torch.zeros(self.shape)\n"
        "        scores[torch.repeat_interleave(torch.arange(self.shape[0]), counts), histories.items] = 1\n"
        "        return lambda users: scores[users].clone()\n"
    )
    (shop / "mine").mkdir()
    (shop / "mine" / "known.py").write_text(source)
    folder = shop / "data" / "shop"
    test = read_rows(folder / "test_indexed.tsv")
    item, other = test[0][1], test[1][1]
    write_rows(folder / "test_new.tsv", [*test, ("new", item, 5, 1)])
    write_rows(folder / "shown.tsv", [("new", other, 4, 1)])
    data = {
        "test_path": "../data/{0}/test_new.tsv",
        "test_input_path": "../data/{0}/shown.tsv",
        "validation_path": None,
    }
    run_experiment(experiment(shop, {"Known": None}, external_models_path="../mine", data_config=data))


def test_a_group_that_one_fold_does_not_have_is_averaged_over_the_others(shop: Path) -> None:
    items = sorted({row[1] for row in read_rows(shop / "data" / "shop" / "reviews.tsv")})
    write_rows(
        shop / "genre.tsv",
        [(item, "rare" if item == "i39" else ("common", "usual")[int(item[1:]) % 2]) for item in items],
    )
    changes = split(test_splitting=rule("random_k_fold", folds=3), validation_splitting=rule("leave_one_out"))
    evaluation = {
        "simple_metrics": ["Recall"],
        "complex_metrics": [{"metric": "RSP", "clustering_file": "../genre.tsv"}],
        "paired_ttest": True,
    }
    reviews = [row for row in read_rows(shop / "data" / "shop" / "reviews.tsv") if row[1] != "i39"]
    write_rows(shop / "data" / "shop" / "reviews.tsv", [*reviews, (*reviews[0][:1], "i39", *reviews[0][2:])])
    folder = run_experiment(experiment(shop, {"MostPop": None, "Random": None}, evaluation=evaluation, **changes))
    figures = [model["test"] for model in everything(folder)["models"]]
    assert all("RSP[genre=common]@5" in each for each in figures)
    assert "Recall@5" in (folder / "significance.tsv").read_text()


# --- ids beside indexed parts


def test_groups_and_lists_under_raw_ids_are_found_behind_the_numbers_of_indexed_parts(shop: Path) -> None:
    folder = shop / "data" / "shop"
    number_of = dict(read_rows(folder / "users_map.tsv"))
    item_of = dict(read_rows(folder / "items_map.tsv"))
    write_rows(shop / "raw.tsv", [(raw, "ab"[int(number) % 2]) for raw, number in number_of.items()])
    write_rows(shop / "numbers.tsv", [(number, "ab"[int(number) % 2]) for number in number_of.values()])
    first = run_experiment(experiment(shop, {"MostPop": {"meta": {"save_recs": True}}}, name="first"))
    (shop / "lists").mkdir()
    lists = read_rows(first / "recs" / "MostPop.tsv")
    write_rows(shop / "lists" / "raw.tsv", lists)
    numbers = [(number_of[user], item_of[item], score) for user, item, score in lists]
    write_rows(shop / "lists" / "numbers.tsv", numbers)
    models = {"MostPop": None, "RecommendationFolder": {"folder": "../lists"}}
    groups = [{"name": name, "file": f"../{name}.tsv"} for name in ("raw", "numbers")]
    run = run_experiment(experiment(shop, models, evaluation={"slices": {"users": groups}}))
    own, *read = everything(run)["models"]
    assert [model["row"] for model in read] == ["numbers", "raw"]
    assert all(model["test"] == own["test"] for model in read)
    rows = [
        line.split("\t")[1:] for line in (run / "slices.tsv").read_text().splitlines() if line.startswith("MostPop")
    ]
    assert [row[1:] for row in rows if row[0] == "raw"] == [row[1:] for row in rows if row[0] == "numbers"]
