"""`run_experiment.py` from inside: what is printed, what is written, and what the test part may not do."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bench_cases import Row, random_reviews, read_rows, write_rows
from experiment_cases import QUICK, TEXTUAL, VISUAL, experiment, results, split_quietly
from support import tree, write_table

from benchmark.evaluation import Evaluator
from benchmark.experiment import judges, run_experiment
from benchmark.search import sweep as sweep_module
from workbench.errors import UserError

FOUR: dict[str, Any] = {
    "Random": None,
    "MostPop": None,
    "external.BPRMF": {**QUICK, "lr": [0.001, 0.05], "l_w": 0.01, "meta": {"save_recs": True}},
    "external.VBPR": {**QUICK, "lr": 0.05, "l_w": [0.01, 0.1], "meta": {"save_recs": True, "validation_rate": 2}},
}
BPRMF = {"external.BPRMF": {**QUICK, "lr": 0.05, "l_w": 0.01}}


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the trials that are really run."""
    names: list[str] = []
    original = sweep_module.run_task

    def counted(task: Any, ground: Any, watch: Any = None) -> Any:
        names.append(task.model.__name__)
        return original(task, ground, watch)

    monkeypatch.setattr(sweep_module, "run_task", counted)
    return names


def held_out(path: Path) -> dict[str, dict[str, float]]:
    rows: dict[str, dict[str, float]] = {}
    for user, item, rating, *_ in read_rows(path):
        rows.setdefault(user, {})[item] = float(rating)
    return rows


# --- the whole journey


def test_four_models_are_tuned_and_printed_with_what_they_took(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run_experiment(experiment(shop, FOUR))
    assert folder == Path("results/shop/x")
    table = results(folder)
    assert list(table) == ["Random", "MostPop", "BPRMF", "VBPR"]
    printed = capsys.readouterr().out
    assert "mask train+val" in printed
    metrics = [f"{name}@{k}" for k in (5, 10) for name in ("Recall", "nDCG", "HR")]
    for name, row in table.items():
        lines = [line for line in printed.splitlines() if line.startswith(f"| {name} ")]
        assert len(lines) == 3, "one table a cutoff, and one of choices"
        for place, metric in enumerate(metrics):
            best = row[metric] == max((each[metric] for each in table.values()), key=float)
            cell = lines[place // 3].split("|")[2 + place % 3]
            assert cell.strip() == f"{float(row[metric]):.4f}" + ("*" if best else "")
    assert f"lr={float(json.loads(table['BPRMF']['best'])['lr']):g}" in printed
    assert set(json.loads(table["VBPR"]["best"])) == {"l_w"}
    assert int(table["BPRMF"]["parameters"]) == (60 + 40) * 4
    assert float(table["VBPR"]["seconds"]) > 0


def test_files_of_the_results_folder_agree_with_each_other_and_with_the_definitions(shop: Path) -> None:
    folder = run_experiment(experiment(shop, FOUR))
    table = results(folder)
    everything = json.loads((folder / "results.json").read_text())
    test, train, validation = (
        held_out(shop / "data" / "shop" / f"{name}_indexed.tsv") for name in ("test", "train", "val")
    )
    users, items_ = (dict(read_rows(shop / "data" / "shop" / f"{name}_map.tsv")) for name in ("users", "items"))
    judged = sorted(set(test) & set(train))
    for model in everything["models"]:
        name = model["model"]
        per_user = np.load(folder / "per_user" / f"{name}.npz")
        assert sorted(per_user["users"].tolist()) == judged
        assert model["users"] == len(judged)
        for metric, value in model["test"].items():
            assert per_user[metric].mean() == pytest.approx(value, abs=1e-12)
            assert float(table[name][metric]) == pytest.approx(value, abs=5e-7)
        assert (folder / "recs" / f"{name}.tsv").exists() == (name in ("BPRMF", "VBPR"))
    for name in ("BPRMF", "VBPR"):
        lists: dict[str, list[tuple[str, float]]] = {}
        for user, item, score in read_rows(folder / "recs" / f"{name}.tsv"):
            lists.setdefault(users[user], []).append((items_[item], float(score)))  # lists have raw ids
        per_user = np.load(folder / "per_user" / f"{name}.npz")
        for place, user in enumerate(per_user["users"].tolist()):
            items, scores = zip(*lists[user], strict=True)
            assert len(items) == len(set(items)) == 10
            assert list(scores) == sorted(scores, reverse=True)
            assert not set(items) & {*train[user], *validation.get(user, {})}
            hits = [item in test[user] for item in items]
            assert per_user["Recall@5"][place] == pytest.approx(sum(hits[:5]) / len(test[user]))
            assert per_user["HR@10"][place] == float(any(hits))
            gains = sorted((2 ** (rating + 1) - 1 for rating in test[user].values()), reverse=True)[:10]
            ideal = sum(gain / math.log2(rank + 2) for rank, gain in enumerate(gains))
            found = sum(
                (2 ** (test[user][item] + 1) - 1) / math.log2(rank + 2)
                for rank, item in enumerate(items)
                if item in test[user]
            )
            assert per_user["nDCG@10"][place] == pytest.approx(found / ideal)


def test_results_json_tells_the_protocol_the_counts_and_every_trial(shop: Path) -> None:
    folder = run_experiment(experiment(shop, FOUR))
    everything = json.loads((folder / "results.json").read_text())
    rows = {name: len(read_rows(shop / "data" / "shop" / f"{name}.tsv")) for name in ("train", "val", "test")}
    assert everything["counts"] == {
        "users": 60,
        "items": len({row[1] for row in read_rows(shop / "data" / "shop" / "train.tsv")}),
        "train": rows["train"],
        "validation": rows["val"],
        "test": rows["test"],
    }
    assert everything["protocol"]["mask"] == "train+val"
    assert everything["versions"]["torch"] == torch.__version__.split("+")[0] or everything["versions"]["torch"]
    trials = {model["model"]: model["trials"] for model in everything["models"]}
    assert [trial["params"]["lr"] for trial in trials["BPRMF"]] == [0.001, 0.05]
    for model in everything["models"]:
        best = max(model["trials"], key=lambda trial: trial["validation"]["Recall@5"])
        assert model["chosen"] == [[best]]
    assert (folder / "config.yml").read_bytes() == (shop / "config_files" / "x.yml").read_bytes()


def test_the_same_file_in_another_place_gives_the_same_figures_bit_for_bit(
    shop: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run_experiment(experiment(shop, FOUR)).resolve()
    other = tmp_path_factory.mktemp("other")
    (other / "data").symlink_to(shop / "data")
    monkeypatch.chdir(other)
    again = run_experiment(experiment(other, FOUR))
    for name in ("Random", "MostPop", "BPRMF", "VBPR"):
        one, two = (np.load(folder / "per_user" / f"{name}.npz") for folder in (first, again))
        for metric in one.files:
            np.testing.assert_array_equal(one[metric], two[metric])
    assert (first / "recs" / "VBPR.tsv").read_bytes() == (again / "recs" / "VBPR.tsv").read_bytes()


# --- running again


def test_a_second_run_trains_nothing_judges_nothing_and_prints_the_same_table(
    shop: Path, capsys: pytest.CaptureFixture[str], trained: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = experiment(shop, FOUR)
    run_experiment(path)
    first = capsys.readouterr().out
    assert len(trained) == 6
    folder = Path("results/shop/x")
    before = tree(folder)
    ranked: list[int] = []
    monkeypatch.setattr(Evaluator, "rank", lambda *_: ranked.append(1))
    monkeypatch.setattr(time, "strftime", lambda _: "2001-01-01 00:00:00")  # later, as a clock may say
    run_experiment(path)
    assert capsys.readouterr().out == first
    assert len(trained) == 6 and ranked == []
    assert tree(folder) == before


def test_one_value_more_trains_one_cell_more(shop: Path, trained: list[str]) -> None:
    run_experiment(experiment(shop, FOUR))
    trained.clear()
    more = {**FOUR, "external.BPRMF": {**FOUR["external.BPRMF"], "lr": [0.001, 0.05, 0.01]}}
    run_experiment(experiment(shop, more))
    assert trained == ["BPRMF"]


def test_another_mask_opens_the_test_part_again_but_trains_nothing(shop: Path, trained: list[str]) -> None:
    wide = results(run_experiment(experiment(shop, BPRMF)))
    narrow = results(run_experiment(experiment(shop, BPRMF, evaluation={"mask": "train"})))
    assert trained == ["BPRMF"]
    assert wide["BPRMF"]["validation"] == narrow["BPRMF"]["validation"]
    assert wide["BPRMF"]["Recall@10"] != narrow["BPRMF"]["Recall@10"]


def test_other_metrics_and_cutoffs_open_the_test_part_again_but_train_nothing(shop: Path, trained: list[str]) -> None:
    run_experiment(experiment(shop, FOUR))
    trained.clear()
    wider = {"simple_metrics": ["Recall", "MRR"], "cutoffs": [5, 7]}
    columns = ["Recall@5", "MRR@5", "Recall@7", "MRR@7"]
    again = run_experiment(experiment(shop, FOUR, evaluation=wider))
    assert trained == []
    table = results(again)
    for row in table.values():
        assert [name for name in row if "@" in name] == columns
    fresh = results(run_experiment(experiment(shop, FOUR, evaluation=wider, name="fresh")))
    assert len(trained) == 6
    for name, row in fresh.items():
        assert {each: row[each] for each in [*columns, "validation"]} == {
            each: table[name][each] for each in [*columns, "validation"]
        }


def test_another_metric_to_choose_by_trains_again(shop: Path, trained: list[str]) -> None:
    run_experiment(experiment(shop, BPRMF))
    by_hits = {**BPRMF["external.BPRMF"], "meta": {"validation_metric": "HR@10"}}
    run_experiment(experiment(shop, {"external.BPRMF": by_hits}))
    assert trained == ["BPRMF", "BPRMF"]


def test_what_stops_training_early_is_part_of_a_trial_also_where_its_name_is_short(
    shop: Path, trained: list[str]
) -> None:
    """`HR` means the first cutoff: with another first one, training may end elsewhere."""
    stopping = {"early_stopping": {"patience": 2, "monitor": "hr"}, "meta": {"validation_metric": "Recall@10"}}
    models = {"external.BPRMF": {**BPRMF["external.BPRMF"], **stopping}}
    for cutoffs, trials in (([5, 10], 1), ([5, 7, 10], 1), ([7, 10], 2)):
        folder = run_experiment(experiment(shop, models, evaluation={"cutoffs": cutoffs}))
        assert len(trained) == trials
        params = json.loads((folder / "results.json").read_text())["models"][0]["chosen"][0][0]["params"]
        assert params["early_stopping"]["monitor"] == f"HR@{cutoffs[0]}"


@pytest.mark.parametrize("save", [False, True])
def test_going_back_to_earlier_settings_brings_their_per_user_values_and_lists_back(shop: Path, save: bool) -> None:
    """The table comes from the journal; what lies beside it must be of the same run."""
    models = {"external.BPRMF": {**BPRMF["external.BPRMF"], "meta": {"save_recs": save}}}
    for mask in ("train+val", "train", "train+val"):
        folder = run_experiment(experiment(shop, models, evaluation={"mask": mask}))
        per_user = np.load(folder / "per_user" / "BPRMF.npz")
        assert per_user["Recall@10"].mean() == pytest.approx(float(results(folder)["BPRMF"]["Recall@10"]), abs=1e-6)
    if save:
        validation = held_out(shop / "data" / "shop" / "val_indexed.tsv")
        listed = read_rows(folder / "recs" / "BPRMF.tsv")
        assert not any(item in validation.get(user, {}) for user, item, _ in listed)


def test_changed_features_or_data_are_trained_anew_only_where_they_are_read(shop: Path, trained: list[str]) -> None:
    models = {**BPRMF, "external.VBPR": {**QUICK, "lr": 0.05}}
    run_experiment(experiment(shop, models))
    items = [f"i{number}" for number in range(40)]
    table = shop / "data" / "shop" / "visual_embeddings_32" / VISUAL
    write_table(table, items, np.random.default_rng(9).standard_normal((40, 6)).astype(np.float32))
    with pytest.raises(UserError, match="stale"):
        run_experiment(experiment(shop, models))
    split_quietly()
    trained.clear()
    run_experiment(experiment(shop, models))
    assert trained == ["VBPR"]
    write_rows(shop / "data" / "shop" / "reviews.tsv", random_reviews(5))
    split_quietly()
    trained.clear()
    run_experiment(experiment(shop, models))
    assert trained == ["BPRMF", "VBPR"]


# --- selection sees validation only


def test_the_test_part_is_judged_once_for_each_model_after_all_tuning(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[tuple[str, str]] = []
    parts: dict[int, str] = {}

    class Spy(Evaluator):
        def __init__(self, part: Any, *arguments: Any, **keywords: Any) -> None:
            super().__init__(part, *arguments, **keywords)
            self.rows = len(part.items)

        def rank(self, model: Any) -> Any:
            events.append((parts[self.rows], type(model).__name__))
            return super().rank(model)

    for name, file in (("validation", "val"), ("test", "test")):
        parts[len(read_rows(shop / "data" / "shop" / f"{file}.tsv"))] = name
    monkeypatch.setattr(judges, "Evaluator", Spy)
    run_experiment(experiment(shop, FOUR))
    opened = [place for place, (part, _) in enumerate(events) if part == "test"]
    assert opened == list(range(len(events) - 4, len(events))), "after everything else"
    assert [name for _, name in events[-4:]] == ["Random", "MostPop", "BPRMF", "VBPR"]
    assert [name for part, name in events if part == "validation"] == [
        *["Random", "MostPop"],
        *["BPRMF"] * 2 * 4,
        *["VBPR"] * 2 * 2,
    ]


def test_garbage_in_the_test_part_changes_nothing_that_is_chosen(shop: Path) -> None:
    models = {name: FOUR[name] for name in ("external.BPRMF", "external.VBPR")}

    def chosen(name: str) -> list[Any]:
        folder = run_experiment(experiment(shop, models, name=name))
        return [
            [
                {key: trial[key] for key in ("params", "epoch", "validation", "losses")}
                for trial in (*m["chosen"][0], *m["trials"])
            ]
            for m in json.loads((folder / "results.json").read_text())["models"]
        ]

    before = chosen("x")
    rng = np.random.default_rng(0)
    garbage: list[Row] = [(user, int(item), 5) for user in range(60) for item in rng.permutation(200)[:10]]
    write_rows(shop / "data" / "shop" / "test_indexed.tsv", garbage)
    assert chosen("y") == before


def test_without_validation_a_grid_is_refused_before_anything_is_trained(shop: Path, trained: list[str]) -> None:
    path = experiment(shop, {"external.BPRMF": {**QUICK, "lr": [0.1, 0.2]}}, data_config={"validation_path": None})
    with pytest.raises(
        UserError, match=r"external.BPRMF has 2 configurations and there is no validation split"
    ) as caught:
        run_experiment(path)
    assert "validation_path" in str(caught.value.mend)
    assert trained == []


def test_without_validation_single_values_are_trained_to_the_end_with_a_warning(
    shop: Path, log: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    table = results(run_experiment(experiment(shop, BPRMF, data_config={"validation_path": None})))
    assert table["BPRMF"]["epoch"] == "4" and table["BPRMF"]["validation"] == ""
    assert sum("no validation split" in line for line in log) == 1
    assert "epoch=4" in capsys.readouterr().out


# --- strategies, raw ids, controls


def test_raw_ids_give_the_same_figures_as_indexed_ones(shop: Path) -> None:
    models = {name: FOUR[name] for name in ("MostPop", "external.BPRMF", "external.VBPR")}
    indexed = results(run_experiment(experiment(shop, models, name="indexed")))
    raw = {
        "train_path": "../data/{0}/train.tsv",
        "validation_path": "../data/{0}/val.tsv",
        "test_path": "../data/{0}/test.tsv",
        "side_information": [
            {"dataloader": "VisualAttribute", "visual_features": f"../data/{{0}}/visual_embeddings_32/{VISUAL}"},
            {"dataloader": "TextualAttribute", "textual_features": f"../data/{{0}}/textual_embeddings_32/{TEXTUAL}"},
        ],
    }
    for name, row in results(run_experiment(experiment(shop, models, name="raw", data_config=raw))).items():
        assert {k: v for k, v in row.items() if "@" in k} == {k: v for k, v in indexed[name].items() if "@" in k}


@pytest.mark.parametrize("with_validation", [True, False])
def test_the_strategy_dataset_is_the_split_and_the_strategy_fixed_in_one(shop: Path, with_validation: bool) -> None:
    rule = {"strategy": "random_subsampling", "test_ratio": 0.2}
    splitting: dict[str, Any] = {"test_splitting": rule, "save_on_disk": True, "save_folder": "../saved/{0}/"}
    if with_validation:
        splitting["validation_splitting"] = {"strategy": "random_subsampling", "test_ratio": 0.1}
    at_once = {
        "strategy": "dataset",
        "dataset_path": "../data/{0}/reviews.tsv",
        "train_path": None,
        "validation_path": None,
        "test_path": None,
        "side_information": None,
    }
    one = results(run_experiment(experiment(shop, BPRMF, name="one", data_config=at_once, splitting=splitting)))
    saved = shop / "saved" / "shop" / "0"
    inner = saved / "0" if with_validation else saved
    files = {str(path.relative_to(saved)) for path in saved.rglob("*.tsv")}
    assert files == ({"test.tsv", "0/train.tsv", "0/val.tsv"} if with_validation else {"test.tsv", "train.tsv"})
    if with_validation:
        for name, path in (("train", inner), ("val", inner), ("test", saved)):
            assert (path / f"{name}.tsv").read_bytes() == (shop / "data" / "shop" / f"{name}.tsv").read_bytes()
    parts = {
        "train_path": str(inner / "train.tsv"),
        "validation_path": str(inner / "val.tsv") if with_validation else None,
        "test_path": str(saved / "test.tsv"),
        "side_information": None,
    }
    two = results(run_experiment(experiment(shop, BPRMF, name="two", data_config=parts)))
    assert {k: v for k, v in one["BPRMF"].items() if "@" in k} == {k: v for k, v in two["BPRMF"].items() if "@" in k}


def test_binarize_and_threshold_change_what_counts(shop: Path) -> None:
    graded = results(run_experiment(experiment(shop, {"MostPop": None}, name="graded")))["MostPop"]
    binary = results(run_experiment(experiment(shop, {"MostPop": None}, name="binary", binarize=True)))["MostPop"]
    strict = results(
        run_experiment(experiment(shop, {"MostPop": None}, name="strict", evaluation={"relevance_threshold": 4}))
    )["MostPop"]
    assert graded["Recall@10"] == binary["Recall@10"] != strict["Recall@10"]
    assert graded["nDCG@10"] != binary["nDCG@10"]


def side(shop: Path, **changes: Any) -> dict[str, Any]:
    visual = {"dataloader": "VisualAttribute", "visual_features": f"../data/shop/visual_embeddings_indexed_32/{VISUAL}"}
    return {"side_information": [{**visual, **changes}]}


def test_a_control_takes_the_place_of_the_features_and_gives_other_figures(shop: Path, trained: list[str]) -> None:
    models = {"external.VBPR": {**QUICK, "lr": 0.05}}
    figures = []
    for control in (None, "shuffled", "random"):
        changes = {"control": control} if control else {}
        folder = run_experiment(experiment(shop, models, data_config=side(shop, **changes)))
        figures.append(json.loads((folder / "results.json").read_text())["models"][0]["chosen"][0][0]["losses"])
    assert len(trained) == 3
    assert figures[0] != figures[1] != figures[2] != figures[0]


@pytest.fixture
def gappy(shop: Path) -> Path:
    """The visual table lacks i0, the most popular item."""
    items = [f"i{number}" for number in range(1, 40)]
    table = shop / "data" / "shop" / "visual_embeddings_32" / VISUAL
    write_table(table, items, np.random.default_rng(9).standard_normal((39, 6)).astype(np.float32))
    split_quietly()
    return shop


def test_items_without_features_are_refused_by_name_and_filled_on_demand(gappy: Path) -> None:
    models = {"external.VBPR": {**QUICK, "lr": 0.05}}
    number = dict(read_rows(gappy / "data" / "shop" / "items_map.tsv"))["i0"]
    with pytest.raises(UserError, match=f"1 of 40 items have no features, among them '{number}'"):
        run_experiment(experiment(gappy, models, data_config=side(gappy)))
    for missing in ("zeros", "mean"):
        table = results(run_experiment(experiment(gappy, models, data_config=side(gappy, missing=missing))))
        assert 0 < float(table["VBPR"]["Recall@10"]) < 1


def test_gpu_0_without_a_gpu_is_one_warning_and_the_same_figures(
    shop: Path, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    asked = results(run_experiment(experiment(shop, BPRMF, name="gpu", gpu=0)))
    assert sum(line.startswith("WARNING") for line in log) == 1
    assert "gpu 0 was asked for" in next(line for line in log if line.startswith("WARNING"))
    assert asked["BPRMF"]["Recall@10"] == results(run_experiment(experiment(shop, BPRMF)))["BPRMF"]["Recall@10"]


# --- a model of the user's

MINE = '''
"""Items by number, the {order} first."""

import torch

from benchmark.models.base import Params, Recommender, TrainingData


class ByNumber(Recommender):
    class Params(Params):
        weight: float = 1.0

    def __init__(self, params, data: TrainingData):
        super().__init__()
        self.register_buffer("ranks", {sign}params.weight * torch.arange(data.n_items).float())

    def scorer(self):
        return lambda users: self.ranks.repeat(len(users), 1)
'''


def test_a_file_in_the_users_folder_is_a_model_whose_changes_are_noticed(shop: Path, trained: list[str]) -> None:
    (shop / "mine").mkdir()
    models = {"external.ByNumber": {"weight": [1, 2]}, "external.BPRMF": BPRMF["external.BPRMF"]}
    figures = []
    for order, sign in (("last", ""), ("first", "-")):
        (shop / "mine" / "by_number.py").write_text(MINE.format(order=order, sign=sign))
        folder = run_experiment(experiment(shop, models, external_models_path="../mine"))
        figures.append(results(folder)["ByNumber"]["Recall@10"])
    assert figures[0] != figures[1]
    assert trained == ["ByNumber", "ByNumber", "BPRMF", "ByNumber", "ByNumber"]


def test_a_broken_file_of_the_user_is_one_sentence(shop: Path) -> None:
    (shop / "mine").mkdir()
    (shop / "mine" / "by_number.py").write_text("import nothing_of_that_name\n\nclass ByNumber: ...\n")
    with pytest.raises(UserError, match="does not load: ModuleNotFoundError") as caught:
        run_experiment(experiment(shop, {"external.ByNumber": None}, external_models_path="../mine"))
    assert str(caught.value.where).endswith("by_number.py")


# --- refusals, before anything is trained

Change = Callable[[dict[str, Any]], None]


def refused(shop: Path, trained: list[str], models: dict[str, Any], **changes: Any) -> UserError:
    with pytest.raises(UserError) as caught:
        run_experiment(experiment(shop, models, **changes))
    assert trained == [], "refused before anything ran"
    assert not (shop / "results").exists()
    return caught.value


def line_of(shop: Path, text: str) -> str:
    """`file:line` of the first line that starts with a text."""
    path = Path(shop / "config_files" / "x.yml")
    lines = path.read_text().splitlines()
    return f"{path}:{next(number for number, line in enumerate(lines, 1) if line.strip().startswith(text))}"


@pytest.mark.parametrize(
    ("models", "changes", "what", "mend", "line"),
    [
        ({"external.VBRP": None}, {}, "unknown model `external.VBRP`", "did you mean 'VBPR'?", "external.VBRP"),
        ({"external.BPRMF": {"factor": 4}}, {}, "factor`", "did you mean 'factors'?", "factor"),
        ({"external.BPRMF": {"lr": "quick"}}, {}, "lr`", "", "lr"),
        ({"external.BPRMF": {"lr": [0.1, -1]}}, {}, "lr`", "", "lr"),
        ({"external.BPRMF": {"epochs": 0}}, {}, "should be at least 1", "", "epochs"),
        (
            {"MostPop": {"meta": {"validation_rat": 1}}},
            {},
            "validation_rat`",
            "did you mean 'validation_rate'?",
            "validation_rat:",
        ),
        (
            {"MostPop": {"meta": {"validation_metric": "Recall@7"}}},
            {},
            "validation_metric 'Recall@7' is not computed",
            "did you mean 'Recall@",
            "validation_metric",
        ),
        (
            {"MostPop": {"meta": {"validation_metric": "Recal@5"}}},
            {},
            "Recal",
            "did you mean 'Recall",
            "validation_metric",
        ),
        ({"MostPop": {"meta": {"hyper_opt_alg": "gird"}}}, {}, "hyper_opt_alg", "did you mean 'grid'", "hyper_opt_alg"),
        ({"MostPop": None, "external.MostPop": None}, {}, "MostPop stands twice", "", "MostPop"),
        ({"MostPop": 3}, {}, "MostPop", "", "MostPop"),
        ({}, {}, "models", "", "models"),
        (
            {"MostPop": None},
            {"evaluation": {"simple_metrics": ["Recall", "nDGC"]}},
            "nDGC",
            "did you mean 'nDCG'?",
            "- nDGC",
        ),
        ({"MostPop": None}, {"evaluation": {"simple_metrics": []}}, "simple_metrics`", "", "simple_metrics"),
        (
            {"MostPop": None},
            {"evaluation": {"cutoffs": [5, 20]}},
            "cutoff 20 is larger than top_k 10",
            "",
            "experiment",
        ),
        ({"MostPop": None}, {"evaluation": {"cutoffs": [0]}}, "cutoffs.0", "", "- 0"),
        ({"MostPop": None}, {"evaluation": {"mask": "val"}}, "mask`", "", "mask"),
        ({"MostPop": None}, {"topk": 5}, "unknown key `experiment.topk`", "did you mean 'top_k'?", "topk"),
        ({"MostPop": None}, {"top_k": None}, "`experiment.top_k` is missing", "top_k:", "experiment"),
        ({"MostPop": None}, {"dataset": "../shop"}, "plain name of a folder", "", "dataset"),
        ({"MostPop": None}, {"backend": "tensorflow"}, "backend`", "", "backend"),
        (
            {"MostPop": None},
            {"data_config": {"test_path": None}},
            "the strategy fixed needs test_path",
            "",
            "data_config",
        ),
        ({"MostPop": None}, {"data_config": {"dataset_path": "x"}}, "does not read dataset_path", "", "data_config"),
        ({"MostPop": None}, {"data_config": {"strategy": "tree"}}, "strategy`", "", "strategy"),
        (
            {"MostPop": None},
            {"data_config": {"side_information": [{"dataloader": "VisualAttributes"}]}},
            "dataloader`",
            "did you mean 'VisualAttribute'?",
            "- dataloader",
        ),
        (
            {"MostPop": None},
            {"data_config": {"side_information": [{"dataloader": "VisualAttribute", "textual_features": "x"}]}},
            "VisualAttribute takes the key visual_features",
            "",
            "- dataloader",
        ),
        (
            {"MostPop": None},
            {"splitting": {"test_splitting": {"strategy": "random_subsampling", "test_ratio": 0.2}}},
            "remove `splitting`",
            "",
            "experiment",
        ),
    ],
)
def test_a_slip_in_the_file_is_refused_with_its_line_and_the_nearest_word(
    shop: Path, trained: list[str], models: dict[str, Any], changes: dict[str, Any], what: str, mend: str, line: str
) -> None:
    error = refused(shop, trained, models, **changes)
    assert what in error.what
    assert mend in str(error.mend)
    assert error.where == line_of(shop, line)


@pytest.mark.parametrize(
    ("models", "changes", "what"),
    [
        (
            {"external.VBPR": {"modalities": "('audio',)"}},
            {},
            "the model wants the modality 'audio'",
        ),
        ({"external.VBPR": None}, {"data_config": {"side_information": []}}, "reads features, and none are loaded"),
        (
            {"external.VBPR": {"modalities": "('visual',)", "loaders": "('TextualAttribute',)"}},
            {},
            "name different modalities",
        ),
        ({"MostPop": None}, {"data_config": {"train_path": "../data/shop/trian.tsv"}}, "no such interaction file"),
        ({"MostPop": None}, {"evaluation": {"relevance_threshold": 9}}, "no held-out row has a rating of at least 9"),
        ({"MostPop": None}, {"external_models_path": "../absent/__init__.py"}, "no such folder of models"),
        (
            {"external.VBPR": None},
            {
                "data_config": {
                    "side_information": [{"dataloader": "VisualAttribute", "visual_features": "../data/shop/absent/x"}]
                }
            },
            "no feature table there",
        ),
    ],
)
def test_what_only_the_data_tell_is_refused_before_anything_is_trained_too(
    shop: Path, trained: list[str], models: dict[str, Any], changes: dict[str, Any], what: str
) -> None:
    assert what in refused(shop, trained, models, **changes).what


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("experimnt:\n  dataset: shop\n", "unknown key `experimnt`"),
        ("experiment:\n  dataset: shop\nextra: 1\n", "unknown key `extra`"),
        ("{}\n", "`experiment` is missing"),
        ("experiment: shop\n", "mapping of keys"),
        ("experiment:\n", "mapping of keys"),
    ],
)
def test_everything_stands_below_one_key(place: Path, text: str, what: str) -> None:
    (place / "x.yml").write_text(text)
    with pytest.raises(UserError) as caught:
        run_experiment(place / "x.yml")
    assert what in caught.value.what
    assert str(caught.value.where).startswith(str(place / "x.yml"))


def test_elliots_keys_without_effect_are_named_and_change_nothing(shop: Path, log: list[str]) -> None:
    plain = results(run_experiment(experiment(shop, BPRMF, name="plain")))
    log.clear()
    noted_keys = ("version", "path_output_rec_result", "config_test")
    changes: dict[str, Any] = {
        **dict.fromkeys(noted_keys, "../x"),
        "align_side_with_train": True,
        "backend": ["pytorch"],
    }
    models = {"external.VBPR": {**QUICK, "lr": 0.05, "n_layers": 1}, **BPRMF}
    noted = results(run_experiment(experiment(shop, models, name="noted", **changes)))
    assert noted["BPRMF"]["Recall@10"] == plain["BPRMF"]["Recall@10"]
    for key in (*noted_keys, "n_layers"):
        assert sum(f"`{key}` has no effect" in line for line in log) == 1, key
    assert not (shop / "x").exists()
