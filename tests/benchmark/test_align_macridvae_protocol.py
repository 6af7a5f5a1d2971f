"""`legacy: align_macridvae` on a small folder, from the files to the table, against figures counted in loops."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bench_cases import read_rows
from recom_cases import IDLE, ITEMS, N_ITEMS, N_USERS, NAME, USERS, draw_folder, draw_parts, experiment_file
from test_ranking import CPU, Table, random_case

from benchmark.config import read_experiment_config
from benchmark.evaluation import Evaluator
from benchmark.experiment import run_experiment
from benchmark.measures import plan_measures
from workbench.errors import UserError

BPRMF: dict[str, Any] = {"epochs": 4, "batch_size": 32, "factors": 4, "lr": 0.05, "seed": 1}
SAVED = {**BPRMF, "meta": {"save_recs": True, "save_weights": True}}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    draw_folder(tmp_path / "RecomData" / NAME)
    return tmp_path


def everything(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "results.json").read_text()))


def lists_of(path: Path) -> dict[int, list[int]]:
    """Item numbers by user number, best first."""
    lists: dict[int, list[int]] = {}
    for user, item, _ in read_rows(path):
        lists.setdefault(USERS.index(user), []).append(ITEMS.index(item))
    return lists


def ndcg(order: Sequence[int], labels: Mapping[int, float], k: int) -> float:
    gain = sum(labels.get(item, 0) / math.log2(rank + 1) for rank, item in enumerate(order[:k], start=1))
    best = sorted(labels.values(), reverse=True)[:k]
    return gain / sum(value / math.log2(rank + 1) for rank, value in enumerate(best, start=1))


def recall(order: Sequence[int], labels: Mapping[int, float], k: int) -> float:
    return sum(labels.get(item, 0) for item in order[:k]) / min(k, sum(labels.values()))


def average_precision(order: Sequence[int], labels: Mapping[int, float], k: int) -> float:
    hits, total = 0, 0.0
    for rank, item in enumerate(order[:k], start=1):
        if item in labels:
            hits += 1
            total += hits / rank
    return total / len(labels)


def test_the_figures_are_those_of_the_formulas(place: Path, log: list[str]) -> None:
    folder = run_experiment(experiment_file(place, {"external.BPRMF": SAVED}))
    (model,) = everything(folder)["models"]
    parts, lists = draw_parts(), lists_of(folder / "recs" / "BPRMF.tsv")
    labels = {user: {item: 1.0 for owner, item in parts["test"] if owner == user} for user in range(N_USERS)}
    train = {user: {item for owner, item in parts["train"] if owner == user} for user in range(N_USERS)}
    assert set(lists) == set(range(N_USERS)) - {IDLE}
    for user, order in lists.items():
        assert set(order) == set(range(N_ITEMS)) - train[user], "only training items are hidden, no item is left out"
    longest = max(map(len, labels.values()))
    for k in (2, 5, 20, 100):
        expected = {
            f"nDCG_binary@{k}": [ndcg(order, labels[user], k) for user, order in lists.items()],
            f"Recall_min@{k}": [recall(order, labels[user], k) for user, order in lists.items()],
            f"MAP_longest@{k}": [average_precision(order, labels[user], longest) for user, order in lists.items()],
        }
        for name, values in expected.items():
            assert model["test"][name] == pytest.approx(np.mean(values), rel=1e-12), name
            assert max(values) <= 1
    assert model["monitor"] == "nDCG_binary@100"
    over_everybody = sum(ndcg(order, labels[user], 100) for user, order in lists.items()) / N_USERS
    assert over_everybody == pytest.approx(model["test"]["nDCG_binary@100"] * (N_USERS - 1) / N_USERS)
    assert any("1 of 14 users have nothing to find" in line and "multiply by 0.928571" in line for line in log)


def test_pairs_that_count_twice_would_give_a_recall_above_one(place: Path) -> None:
    """What summing repeated rows does, which one row a pair prevents."""
    assert recall([3, 1], {3: 2.0}, 1) == 2
    folder = run_experiment(experiment_file(place, {"external.BPRMF": BPRMF}))
    per_user = np.load(folder / "per_user" / "BPRMF.npz")
    assert max(per_user[f"Recall_min@{k}"].max() for k in (2, 5, 20, 100)) <= 1
    assert everything(folder)["counts"] == {
        "users": N_USERS,
        "items": N_ITEMS,
        **{name: len(set(pairs)) for name, pairs in draw_parts().items()},
    }


def test_a_restored_run_is_tested_without_training(place: Path) -> None:
    path = experiment_file(place, {"external.BPRMF": SAVED})
    trained = everything(run_experiment(path))["models"][0]
    restore = [("models.external.BPRMF.meta.restore", "true")]
    lists = Path("results") / NAME / "x" / "recs" / "BPRMF.tsv"
    before = lists.read_text()
    lists.unlink()  # which only the weights can write again
    again = everything(run_experiment(path, restore))["models"][0]
    assert again["test"] == trained["test"] and lists.read_text() == before
    journal = (Path("results") / NAME / "x" / "journal.jsonl").read_text()
    assert journal.count('"kind": "trial"') == 1
    with pytest.raises(UserError, match="restore"):
        run_experiment(path, [*restore, ("models.external.BPRMF.lr", "0.01")])


def test_a_model_that_never_finds_anything_on_validation_is_kept_and_tested(place: Path) -> None:
    parts = draw_parts()
    nothing = {**parts, "validation": parts["train"]}  # all of it is masked
    folder = run_experiment(_over(place, nothing, "never", {"external.BPRMF": SAVED}))
    (model,) = everything(folder)["models"]
    assert model["validation"] == 0 and 0 < model["test"]["nDCG_binary@100"] < 1


def _over(place: Path, parts: dict[str, list[tuple[int, int]]], name: str, models: dict[str, Any]) -> Path:
    draw_folder(place / "RecomData" / name, parts)
    return experiment_file(place, models, name, dataset=name)


@pytest.mark.parametrize("seed", range(3))
def test_the_mean_precision_is_cut_at_the_longest_row(seed: int) -> None:
    scores, train, _, test = random_case(seed)
    judge = Evaluator(test, [train], 25, 28, ["MAP_longest", "MAP_trec"], [1, 25], CPU)
    ranking = judge.rank(Table(scores))
    longest = int(ranking.relevant.max())
    own = judge.per_user(ranking)
    trec = Evaluator(test, [train], 25, 28, ["MAP_trec"], [longest], CPU)
    expected = trec.per_user(trec.rank(Table(scores)))[f"MAP_trec@{longest}"]
    for k in (1, 25):
        torch.testing.assert_close(own[f"MAP_longest@{k}"], expected, rtol=1e-12, atol=0)
    assert not torch.equal(own["MAP_trec@1"], expected)


def test_the_names_mean_what_they_mean_there(place: Path) -> None:
    names = ["NDCG", "recall", "MAP", "Precision", "nDCG_binary"]
    evaluation = {"legacy": "align_macridvae", "cutoffs": [5, 100], "simple_metrics": names}
    measures = plan_measures(read_experiment_config(experiment_file(place, {"MostPop": None}, evaluation=evaluation)))
    assert measures.metrics == ["nDCG_binary", "Recall_min", "MAP_longest", "Precision"]
    assert (measures.mask, measures.candidates, measures.digits) == ("train", "all", None)
    assert measures.default_monitor == "nDCG_binary@100"


def test_what_it_chooses_by_must_be_computed(place: Path) -> None:
    evaluation = {"legacy": "align_macridvae", "cutoffs": [5], "simple_metrics": ["NDCG"]}
    with pytest.raises(UserError, match="chooses by nDCG_binary@100, which is not computed"):
        run_experiment(experiment_file(place, {"external.BPRMF": BPRMF}, evaluation=evaluation))
    by_recall = {"external.BPRMF": {**BPRMF, "meta": {"validation_metric": "NDCG@5"}}}
    folder = run_experiment(experiment_file(place, by_recall, evaluation=evaluation))
    assert everything(folder)["models"][0]["monitor"] == "nDCG_binary@5"


@pytest.mark.parametrize("key", [{"mask": "train+val"}, {"candidates": "train"}])
def test_its_opposite_is_refused(place: Path, key: dict[str, str]) -> None:
    evaluation = {"legacy": "align_macridvae", "simple_metrics": ["NDCG"], **key}
    with pytest.raises(UserError, match="`legacy: align_macridvae` means"):
        read_experiment_config(experiment_file(place, {"MostPop": None}, evaluation=evaluation))


def test_it_never_chooses_on_test(place: Path) -> None:
    for name in ("train", "test"):
        rows = "".join(f"{user}\t{item}\n" for user, item in dict.fromkeys(draw_parts()[name]))
        (place / f"{name}.tsv").write_text(rows)
    data = {"strategy": "fixed", "train_path": "../train.tsv", "test_path": "../test.tsv"}
    grid = {"external.BPRMF": {**BPRMF, "lr": [0.01, 0.05]}}
    with pytest.raises(UserError, match="no validation split to choose by"):
        run_experiment(experiment_file(place, grid, data_config=data))
    folder = run_experiment(experiment_file(place, {"external.BPRMF": BPRMF}, data_config=data))
    assert everything(folder)["models"][0]["row"] == "BPRMF"
