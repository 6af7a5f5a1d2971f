"""Whole sweeps: stopped, killed, spread over workers, locked, planned, and with rows that fail."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from experiment_cases import BASE, QUICK, TEXTUAL, VISUAL, experiment, results
from typer.testing import CliRunner

from benchmark.evaluation.metrics import METRICS
from benchmark.experiment import check_experiment, run_experiment
from benchmark.folder import LOCK
from benchmark.search import sweep as sweep_module
from bottega.cli import app
from workbench.errors import UserError
from workbench.files import fingerprint
from workbench.journal import FORMAT
from workbench.locks import Lock

ROOT = Path(__file__).parents[2]
GRID: dict[str, Any] = {
    "MostPop": None,
    "external.BPRMF": {**QUICK, "lr": [0.01, 0.05], "l_w": [0.01, 0.1]},
    "external.VBPR": {**QUICK, "lr": 0.05, "l_w": [0.01, 0.1]},
}


def trials(folder: Path) -> dict[str, dict[str, Any]]:
    """Records of the journal by key, without what they took."""
    found = {}
    for line in (folder / "journal.jsonl").read_text().splitlines():
        record = json.loads(line)
        if record["kind"] == "trial":
            found[record["key"]] = {name: value for name, value in record.items() if name not in ("cost", "check")}
    return found


def figures(folder: Path) -> list[dict[str, Any]]:
    """What a table says, without what it took."""
    models = json.loads((folder / "results.json").read_text())["models"]
    return [{name: each[name] for name in ("row", "test", "spread", "validation", "replicates")} for each in models]


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keys of the trials that are really run in this process."""
    keys: list[str] = []
    original = sweep_module.run_task

    def counted(task: Any, ground: Any, watch: Any = None) -> Any:
        keys.append(task.key)
        return original(task, ground, watch)

    monkeypatch.setattr(sweep_module, "run_task", counted)
    return keys


def started(file: Path) -> subprocess.Popen[str]:
    """The launcher in a process of its own."""
    command = [sys.executable, str(ROOT / "run_experiment.py"), str(file)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environment)


def killed_when(file: Path, is_time: Any) -> None:
    process = started(file)
    limit = time.monotonic() + 60
    while not is_time():
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < limit
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()


# --- stopped and started again


def test_a_sweep_that_is_killed_goes_on_and_ends_as_if_it_had_not_been(shop: Path, trained: list[str]) -> None:
    models = {name: parameters and {**parameters, "epochs": 40} for name, parameters in GRID.items()}
    whole = run_experiment(experiment(shop, models, name="whole"))
    assert len(trained) == 7
    file = experiment(shop, models, name="killed")
    folder = Path("results/shop/killed")
    killed_when(file, lambda: (folder / "journal.jsonl").is_file() and len(trials(folder)) >= 2)
    before = trials(folder)
    assert 2 <= len(before) < 7
    trained.clear()
    run_experiment(file)
    assert not set(trained) & set(before), "what is finished is not run again"
    assert trials(folder) == trials(whole)
    assert figures(folder) == figures(whole)


def test_a_trial_that_is_killed_goes_on_bit_for_bit_where_its_weights_are_saved(shop: Path, log: list[str]) -> None:
    models = {
        "external.BPRMF": {
            **QUICK,
            "epochs": 3000,
            "meta": {"save_weights": True, "checkpoint_rate": 5, "validation_rate": 100},
        }
    }
    whole = run_experiment(experiment(shop, models, name="whole"))
    file = experiment(shop, models, name="killed")
    folder = Path("results/shop/killed")
    killed_when(file, lambda: list(folder.glob("checkpoints/[!.]*.training.safetensors")))
    assert trials(folder) == {} if (folder / "journal.jsonl").is_file() else True
    log.clear()
    run_experiment(file)
    assert any("training goes on after epoch" in line for line in log)
    assert trials(folder) == trials(whole)
    assert figures(folder) == figures(whole)
    assert not list(folder.glob("checkpoints/*.training.safetensors"))
    weights = [next(each.glob("checkpoints/*.safetensors")).read_bytes() for each in (whole, folder)]
    assert weights[0] == weights[1]


def test_a_full_disk_ends_the_sweep_with_a_sentence_and_what_is_finished_stays(
    shop: Path, trained: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = experiment(shop, GRID)
    original = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if ".safetensors" in path.name and len(trained) > 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(path, data)

    with monkeypatch.context() as patch, pytest.raises(UserError, match="cannot write: No space left"):
        patch.setattr(Path, "write_bytes", full)
        run_experiment(file)
    finished = trials(Path("results/shop/x"))
    assert len(finished) == 3
    trained.clear()
    folder = run_experiment(file)
    assert len(trained) == 4 and not set(trained) & set(finished)
    assert figures(folder) == figures(run_experiment(experiment(shop, GRID, name="y")))


def test_two_sweeps_in_one_folder_are_refused(shop: Path, trained: list[str]) -> None:
    lock = Lock(Path("results/shop/x") / LOCK)
    with pytest.raises(UserError, match="another sweep is at work in this folder") as caught:
        run_experiment(experiment(shop, GRID))
    assert f"process {os.getpid()}" in caught.value.what
    assert trained == []
    lock.release()
    run_experiment(experiment(shop, GRID))


def test_the_folder_of_a_later_version_is_refused_and_not_touched(shop: Path) -> None:
    folder = Path("results/shop/x")
    folder.mkdir(parents=True)
    header = {"kind": "format", "key": "journal", "version": FORMAT + 1}
    text = json.dumps({**header, "check": fingerprint(header)}) + "\n"
    (folder / "journal.jsonl").write_text(text)
    with pytest.raises(UserError, match="of a later version of the bench"):
        run_experiment(experiment(shop, GRID))
    assert (folder / "journal.jsonl").read_text() == text


# --- spread


@pytest.mark.parametrize("search", [{}, {"hyper_opt_alg": "tpe", "hyper_max_evals": 10}])
def test_worker_processes_give_what_one_process_gives(shop: Path, search: dict[str, Any]) -> None:
    models = {**GRID, "external.BPRMF": {**GRID["external.BPRMF"], "meta": search}}
    if search:
        models["external.BPRMF"]["lr"] = ["loguniform", -7, -2]
    one = run_experiment(experiment(shop, models, name="one", seeds=2))
    two = run_experiment(experiment(shop, models, name="two", seeds=2, executor={"processes": {"workers": 2}}))
    assert trials(one) == trials(two)
    assert figures(one) == figures(two)


def test_a_model_of_the_users_travels_to_the_workers_as_it_was_when_the_sweep_began(shop: Path) -> None:
    folder = shop / "mine"
    folder.mkdir()
    source = (
        "import torch\n\nfrom external.models.most_pop import MostPop\n\n\n"
        "class Mine(MostPop):\n    def scorer(self):\n        inner = super().scorer()\n"
        "        return lambda users: SIGN * inner(users)\n\n\nSIGN = -1\n"
    )
    (folder / "mine.py").write_text(source)
    models = {"Mine": None, "MostPop": None}
    one = run_experiment(experiment(shop, models, name="one", external_models_path="../mine"))
    two = run_experiment(
        experiment(shop, models, name="two", external_models_path="../mine", executor={"processes": {"workers": 2}})
    )
    assert figures(one) == figures(two)
    own, popular = figures(two)
    assert own["test"] != popular["test"]


@pytest.mark.heavy
def test_a_ray_cluster_gives_what_one_process_gives(shop: Path) -> None:
    pytest.importorskip("ray")
    one = run_experiment(experiment(shop, GRID, name="one"))
    two = run_experiment(experiment(shop, GRID, name="two", executor="ray"))
    assert trials(one) == trials(two)
    assert figures(one) == figures(two)


# --- failures


BROKEN = """
import torch

from external.models.bprmf import BPRMF


class Broken(BPRMF):
    class Params(BPRMF.Params):
        unlucky: bool = True

    def loss(self, batch):
        if self.params.unlucky:
            raise ValueError("out of luck")
        return super().loss(batch)
"""


def test_a_row_that_fails_is_named_and_the_others_are_shown(
    shop: Path, capsys: pytest.CaptureFixture[str], log: list[str]
) -> None:
    (shop / "mine").mkdir()
    (shop / "mine" / "broken.py").write_text(BROKEN)
    models = {"Broken": {**QUICK, "lr": [0.01, 0.05]}, "MostPop": None}
    folder = run_experiment(experiment(shop, models, external_models_path="../mine"))
    assert list(results(folder)) == ["MostPop"]
    report = json.loads((folder / "results.json").read_text())
    assert report["failed"][0]["row"] == "Broken"
    assert "ValueError: out of luck (broken.py:13)" in report["failed"][0]["reason"]
    printed = capsys.readouterr().out
    assert "Broken" in printed and "out of luck" in printed
    assert "out of luck" in (folder / "report.html").read_text()


def test_a_row_of_which_some_configurations_fail_has_figures_from_the_others(shop: Path) -> None:
    (shop / "mine").mkdir()
    (shop / "mine" / "broken.py").write_text(BROKEN)
    models = {"Broken": {**QUICK, "unlucky": [True, False]}}
    folder = run_experiment(experiment(shop, models, external_models_path="../mine"))
    row = json.loads((folder / "results.json").read_text())["models"][0]
    assert [each.get("why") for each in row["trials"]] == ["crashed", None]
    assert row["chosen"][0][0]["params"]["unlucky"] is False


def test_a_row_whose_test_part_cannot_be_opened_is_no_end_of_the_others(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from external.models.bprmf import BPRMF

    original, asked = BPRMF.scorer, []

    def once(own: Any) -> Any:
        asked.append(own)
        if len(asked) > 1:
            raise ValueError("not again")
        return original(own)

    monkeypatch.setattr(BPRMF, "scorer", once)
    folder = run_experiment(experiment(shop, {"external.BPRMF": {**QUICK, "epochs": 1}, "MostPop": None}))
    assert list(results(folder)) == ["MostPop"]
    reason = json.loads((folder / "results.json").read_text())["failed"][0]["reason"]
    assert reason.startswith("when the test part was opened: ValueError: not again (test_sweep_end_to_end.py:")


def test_without_any_figure_the_experiment_is_an_error(shop: Path) -> None:
    with pytest.raises(UserError, match="no row of the table has figures"):
        run_experiment(experiment(shop, {"external.BPRMF": {**QUICK, "lr": 1e30}}))


def test_of_several_data_sets_all_are_looked_for_before_the_first_one_is_run(shop: Path, trained: list[str]) -> None:
    with pytest.raises(UserError, match=r"no such interaction file: .*nowhere") as caught:
        run_experiment(experiment(shop, GRID, dataset=["shop", "nowhere"]))
    assert "x.yml:" in str(caught.value.where)
    assert trained == []


def test_rows_that_share_a_trial_and_choose_differently_both_have_figures(shop: Path) -> None:
    """The same visual table in both sets: the trial that reads it alone is one trial of two rows."""
    layers = {"visual": VISUAL, "textual": TEXTUAL}
    loaders = {
        name: {
            "dataloader": f"{name.title()}Attribute",
            f"{name}_features": f"../data/{{0}}/{name}_embeddings_indexed_32/{layer}",
        }
        for name, layer in layers.items()
    }
    sets = {"one": list(loaders.values()), "two": [loaders["visual"], {**loaders["textual"], "control": "random"}]}
    for seed in range(20):
        params = {**QUICK, "epochs": 6, "lr": 0.05, "seed": seed, "modalities": [["visual"], ["visual", "textual"]]}
        name = f"x{seed}"
        changes = {"data_config": {**BASE["data_config"], "side_information": sets}}
        folder = run_experiment(experiment(shop, {"external.VBPR": params}, name=name, **changes))
        rows = json.loads((folder / "results.json").read_text())["models"]
        assert [row["row"] for row in rows] == ["VBPR [one]", "VBPR [two] textual=random"]
        if len({json.dumps(row["chosen"][0][0]["params"]["modalities"]) for row in rows}) == 2:
            return
    pytest.fail("the two rows never chose differently")


def test_other_maps_to_raw_ids_open_the_test_part_again(shop: Path, trained: list[str]) -> None:
    file = experiment(shop, {"MostPop": {"meta": {"save_recs": True}}}, data_config={"side_information": None})
    before = {line.split("\t")[1] for line in (run_experiment(file) / "recs" / "MostPop.tsv").read_text().splitlines()}
    path = shop / "data" / "shop" / "items_map.tsv"
    path.write_text("".join(f"new-{line}\n" for line in path.read_text().splitlines()))
    folder = run_experiment(file)
    after = {line.split("\t")[1] for line in (folder / "recs" / "MostPop.tsv").read_text().splitlines()}
    assert after == {f"new-{item}" for item in before}
    assert len(trained) == 1, "only its names are others"


def test_files_of_rows_that_are_gone_are_removed(shop: Path) -> None:
    models = {"MostPop": {"meta": {"save_recs": True}}, "external.BPRMF": {**QUICK, "meta": {"save_recs": True}}}
    folder = run_experiment(experiment(shop, models))
    assert {path.name for path in folder.glob("recs/*")} == {"MostPop.tsv", "BPRMF.tsv"}
    run_experiment(experiment(shop, {"external.BPRMF": models["external.BPRMF"]}, seeds=2))
    assert {path.name for path in folder.glob("recs/*")} == {"BPRMF_0_0_seed1.tsv", "BPRMF_0_1_seed2.tsv"}
    assert {path.name for path in folder.glob("per_user/*")} == {"BPRMF.npz"}


def test_what_seeds_cost_is_billed(shop: Path) -> None:
    folder = run_experiment(experiment(shop, {"external.BPRMF": {**QUICK, "lr": [0.01, 0.05]}}, seeds=3))
    row = json.loads((folder / "results.json").read_text())["models"][0]
    assert (len(row["trials"]), len(row["further"])) == (2, 2)
    assert [record["params"]["seed"] for record in row["further"]] == [2, 3]
    journal = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    spent = sum(record["cost"]["seconds"] for record in journal if record["kind"] == "trial")
    assert float(results(folder)["BPRMF"]["seconds"]) == pytest.approx(spent, abs=0.01)


# --- seen beforehand


def test_the_plan_counts_and_writes_nothing(shop: Path, trained: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    file = experiment(shop, GRID, seeds=3)
    check_experiment(file).show_plan()
    assert trained == [] and not Path("results").exists()
    cells = {
        line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]]
        for line in capsys.readouterr().out.splitlines()
        if line.startswith("|")
    }
    assert {row: cells[row][:4] for row in ("MostPop", "BPRMF", "VBPR", "all")} == {
        "MostPop": ["1", "0", "0", "1"],
        "BPRMF": ["6", "0", "0", "6"],
        "VBPR": ["4", "0", "0", "4"],
        "all": ["11", "0", "0", "11"],
    }
    run_experiment(file)
    assert len(set(trained)) == 11
    capsys.readouterr()
    check_experiment(file).show_plan()
    assert [line.split("|")[2:6] for line in capsys.readouterr().out.splitlines() if line.startswith("| all")] == [
        [" " * 5 + "11 ", "   11 ", " " * 6 + "0 ", " " * 7 + "0 "]
    ]


def test_what_there_is_to_say_of_a_file_is_said_once(shop: Path, log: list[str]) -> None:
    meta = {"hyper_opt_alg": "anneal", "hyper_max_evals": 4}
    file = experiment(shop, {"external.VBPR": {**QUICK, "lr": [0.05, 0.01], "n_layers": 1, "meta": meta}})
    for words in (["--plan"], []):
        log.clear()
        assert CliRunner().invoke(app, ["run", str(file), *words]).exit_code == 0
        for said in ("`n_layers` has no effect", "anneal has no choice"):
            assert sum(said in line for line in log) == 1


def test_an_experiment_sees_the_files_of_its_metrics_as_they_are_when_it_runs(shop: Path) -> None:
    groups = shop / "data" / "shop" / "genre.tsv"

    def write(n_groups: int) -> None:
        groups.write_text("".join(f"i{number}\t{int(number < 5 * n_groups)}\n" for number in range(40)))

    metric = {"metric": "RSP", "clustering_file": "../data/shop/genre.tsv", "clustering_name": "genre", "ids": "raw"}
    evaluation = {"complex_metrics": [metric]}
    write(1)
    checked = check_experiment(experiment(shop, {"MostPop": None}, evaluation=evaluation))
    write(4)
    then = results(checked.run())
    write(1)
    again = results(run_experiment(experiment(shop, {"MostPop": None}, evaluation=evaluation)))
    fresh = results(run_experiment(experiment(shop, {"MostPop": None}, evaluation=evaluation, name="fresh")))
    assert again["MostPop"]["RSP[genre]@5"] == fresh["MostPop"]["RSP[genre]@5"] != then["MostPop"]["RSP[genre]@5"]


def test_an_experiment_judges_the_lists_that_the_one_before_it_wrote(shop: Path) -> None:
    saved = {"meta": {"save_recs": True}}
    run_experiment(experiment(shop, {"MostPop": saved}))
    files = [
        experiment(shop, {"external.BPRMF": {**QUICK, **saved}}),
        experiment(shop, {"RecommendationFolder": {"folder": "../results/shop/x/recs", "ids": "raw"}}, name="y"),
    ]
    assert CliRunner().invoke(app, ["run", *map(str, files)]).exit_code == 0
    assert list(results(Path("results/shop/y"))) == ["BPRMF"]


def test_a_failure_under_other_metrics_is_none_under_these(
    shop: Path, trained: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(*_: Any) -> None:
        raise MemoryError("ranks of everything")

    monkeypatch.setitem(METRICS, "GAUC", replace(METRICS["GAUC"], formula=short))
    models = {"MostPop": None, "external.BPRMF": {**QUICK, "lr": [0.05, 1e30]}}
    with pytest.raises(UserError, match="no row"):
        run_experiment(experiment(shop, models, evaluation={"simple_metrics": ["Recall", "GAUC"]}))
    trained.clear()
    folder = run_experiment(experiment(shop, models))
    assert list(results(folder)) == ["MostPop", "BPRMF"]
    assert len(trained) == 2, "what diverged diverges under any metrics"


def test_validation_figures_of_other_groups_are_not_told(shop: Path, trained: list[str]) -> None:
    """Their columns may have the names of those that are measured now."""
    groups = shop / "data" / "shop" / "genre.tsv"
    metric = {"metric": "RSP", "clustering_file": "../data/shop/genre.tsv", "clustering_name": "genre", "ids": "raw"}
    for n_groups in (2, 3):
        groups.write_text("".join(f"i{number}\t{number % n_groups}\n" for number in range(40)))
        folder = run_experiment(experiment(shop, {"MostPop": None}, evaluation={"complex_metrics": [metric]}))
    assert len(trained) == 1
    (record,) = json.loads((folder / "results.json").read_text())["models"][0]["trials"]
    names = {name.partition("@")[0] for name in record["validation"]}
    assert "Recall" in names and not any(name.startswith("RSP") for name in names)


def test_nor_are_those_of_groups_under_other_raw_ids(shop: Path, trained: list[str]) -> None:
    (shop / "data" / "shop" / "genre.tsv").write_text("".join(f"i{number}\t{number % 2}\n" for number in range(40)))
    metric = {"metric": "RSP", "clustering_file": "../data/shop/genre.tsv", "clustering_name": "genre", "ids": "raw"}
    changes = {"evaluation": {"complex_metrics": [metric]}, "data_config": {"side_information": None}}
    maps = shop / "data" / "shop" / "items_map.tsv"
    run_experiment(experiment(shop, {"MostPop": None}, **changes))
    lines = [line.split("\t") for line in maps.read_text().splitlines()]
    turned = zip(reversed([raw for raw, _ in lines]), [number for _, number in lines], strict=True)
    maps.write_text("".join(f"{raw}\t{number}\n" for raw, number in turned))
    folder = run_experiment(experiment(shop, {"MostPop": None}, **changes))
    assert len(trained) == 1
    (record,) = json.loads((folder / "results.json").read_text())["models"][0]["trials"]
    assert not any(name.startswith("RSP") for name in record["validation"])


def test_what_was_judged_under_other_metrics_does_not_go_on_as_if_under_these(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = shop / "data" / "shop" / "genre.tsv"
    metric = {"metric": "RSP", "clustering_file": "../data/shop/genre.tsv", "clustering_name": "genre", "ids": "raw"}
    literal, judged = METRICS["GAUC"].formula, []

    def short_in_the_end(*given: Any) -> Any:
        judged.append(1)
        if len(judged) > 2:
            raise MemoryError("ranks of everything")
        return literal(*given)

    monkeypatch.setitem(METRICS, "GAUC", replace(METRICS["GAUC"], formula=short_in_the_end))
    meta = {"save_weights": True, "checkpoint_rate": 1}
    models = {"external.BPRMF": {**QUICK, "lr": 1e-12, "meta": meta}}  # the first epoch stays the best one
    found = {}
    for n_items, names, name in ((5, ["Recall", "GAUC"], "x"), (20, ["Recall"], "x"), (20, ["Recall"], "fresh")):
        groups.write_text("".join(f"i{number}\t{int(number < n_items)}\n" for number in range(40)))
        evaluation = {"simple_metrics": names, "complex_metrics": [metric]}
        with suppress(UserError):
            found[name] = trials(run_experiment(experiment(shop, models, name=name, evaluation=evaluation)))
    resumed, fresh = (list(each.values())[-1] for each in found.values())
    assert resumed["validation"] == fresh["validation"]


def test_what_may_only_be_restored_keeps_its_failures(
    shop: Path, trained: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(*_: Any) -> None:
        raise MemoryError("ranks of everything")

    grid = {**QUICK, "lr": [0.05, 0.01]}
    run_experiment(
        experiment(shop, {"external.BPRMF": {**grid, "lr": 0.05}}, evaluation={"simple_metrics": ["Recall"]})
    )
    with monkeypatch.context() as patch, suppress(UserError):
        patch.setitem(METRICS, "GAUC", replace(METRICS["GAUC"], formula=short))
        evaluation = {"simple_metrics": ["Recall", "GAUC"]}
        run_experiment(experiment(shop, {"external.BPRMF": grid}, evaluation=evaluation))
    trained.clear()
    models = {"external.BPRMF": {**grid, "meta": {"restore": True}}}
    folder = run_experiment(experiment(shop, models, evaluation={"simple_metrics": ["Recall", "MRR"]}))
    assert list(results(folder)) == ["BPRMF"] and trained == []


def test_early_stopping_with_nothing_to_judge_by_is_refused_before_anything_runs(
    shop: Path, trained: list[str]
) -> None:
    models = {"MostPop": None, "external.BPRMF": {**QUICK, "early_stopping": {"patience": 2}}}
    with pytest.raises(UserError, match="no validation part to judge by") as caught:
        run_experiment(experiment(shop, models, data_config={"validation_path": None}))
    assert "x.yml:" in str(caught.value.where) and trained == []
    models["external.BPRMF"]["early_stopping"]["monitor"] = "loss"
    run_experiment(experiment(shop, models, data_config={"validation_path": None}))
    assert len(trained) == 2


def test_what_may_only_be_restored_is_not_trained_for_want_of_its_weights(shop: Path, trained: list[str]) -> None:
    folder = run_experiment(experiment(shop, {"external.BPRMF": QUICK}))
    trained.clear()
    for path in (folder / "checkpoints").iterdir():
        path.unlink()
    models = {"external.BPRMF": {**QUICK, "meta": {"restore": True}}}
    with pytest.raises(UserError, match="the weights of this trial are gone"):
        run_experiment(experiment(shop, models, evaluation={"simple_metrics": ["Recall"]}))
    assert trained == []


def test_where_nothing_chooses_other_first_cutoffs_train_nothing(shop: Path, trained: list[str]) -> None:
    blind = {"validation_path": None}
    models = {"MostPop": None, "external.BPRMF": QUICK}
    for cutoffs in ([5, 10], [3, 5, 10]):
        run_experiment(experiment(shop, models, evaluation={"cutoffs": cutoffs}, data_config=blind))
    assert len(trained) == 2


def test_the_plan_says_what_then_runs(shop: Path, trained: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    def planned(file: Path) -> int:
        capsys.readouterr()
        check_experiment(file).show_plan()
        (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| all")]
        return int(line.split("|")[5])

    grid = {**QUICK, "lr": [0.01, 0.05]}
    for meta, seeds in (({}, None), ({}, [5, 6, 7]), ({}, [1, 9]), ({"save_weights": True}, None)):
        file = experiment(shop, {"external.BPRMF": {**grid, "meta": meta}}, seeds=seeds)
        expected = planned(file)
        trained.clear()
        run_experiment(file)
        assert len(trained) == expected
    with pytest.raises(UserError, match="`restore: true` trains nothing"):
        check_experiment(
            experiment(shop, {"external.BPRMF": {**QUICK, "lr": 0.3, "meta": {"restore": True}}})
        ).show_plan()


def test_the_plan_of_a_model_that_cannot_be_built_has_no_time(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (shop / "mine").mkdir()
    (shop / "mine" / "broken.py").write_text(BROKEN)
    check_experiment(
        experiment(shop, {"Broken": {**QUICK}, "MostPop": None}, external_models_path="../mine")
    ).show_plan()
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| Broken")]
    assert lines[0].split("|")[-2].strip() == "?"


def test_what_the_command_line_sets_is_checked_run_and_written_down(shop: Path, trained: list[str]) -> None:
    file = experiment(shop, GRID)
    run_experiment(file)
    trained.clear()
    folder = run_experiment(file, [("models.external.BPRMF.lr", "[0.01, 0.05, 0.1]")])
    assert len(trained) == 2
    assert "0.1" in (folder / "config.yml").read_text()
    with pytest.raises(UserError, match="did you mean 'factors'") as caught:
        run_experiment(file, [("models.external.BPRMF.factor", "1")])
    assert caught.value.where == "--set models.external.BPRMF.factor"


@pytest.mark.parametrize(
    ("models", "changes", "what"),
    [
        ({"MostPop": None}, {"executor": "procesess"}, "did you mean 'processes'"),
        ({"MostPop": None}, {"executor": {"processes": {"worker": 2}}}, "did you mean 'workers'"),
        ({"MostPop": None}, {"tracking": "tensorbord"}, "did you mean 'tensorboard'"),
        ({"external.BPRMF": {**QUICK, "early_stopping": {"patience": 2, "monitor": "Recal@5"}}}, {}, "Recall@5"),
        ({"external.BPRMF": {**QUICK, "early_stopping": {"pattience": 2}}}, {}, "did you mean 'patience'"),
        ({"external.BPRMF": {**QUICK, "optimizer": "adma"}}, {}, "did you mean 'adam'"),
        ({"external.BPRMF": {**QUICK, "precision": "fp16"}}, {}, "needs a GPU"),
        ({"external.BPRMF": {**QUICK, "lr": [0.1, float("inf")]}}, {}, "should be a finite number"),
        ({"MostPop": {"meta": {"hyper_opt_alg": "tpee"}}}, {}, "did you mean 'tpe'"),
    ],
)
def test_a_slip_is_refused_before_anything_runs(
    shop: Path, trained: list[str], models: dict[str, Any], changes: dict[str, Any], what: str
) -> None:
    with pytest.raises(UserError) as caught:
        run_experiment(experiment(shop, models, **changes))
    assert what in str(caught.value)
    assert trained == [] and not Path("results").exists()


def test_lists_are_written_under_raw_ids_and_examples_are_shown(shop: Path) -> None:
    folder = run_experiment(experiment(shop, {"MostPop": {"meta": {"save_recs": True}}}))
    raw = {name: [line.split("\t")[0] for line in (shop / "data" / "shop" / f"{name}_map.tsv").read_text().splitlines()]
           for name in ("users", "items")}  # fmt: skip
    lists: dict[str, list[str]] = {}
    for line in (folder / "recs" / "MostPop.tsv").read_text().splitlines():
        user, item, _ = line.split("\t")
        lists.setdefault(user, []).append(item)
    assert set(lists) <= set(raw["users"]) and {item for each in lists.values() for item in each} <= set(raw["items"])
    examples = json.loads((folder / "results.json").read_text())["examples"]
    assert len(examples) == 6
    for example in examples:
        shown = example["lists"]["MostPop"]
        assert [each["item"] for each in shown] == lists[example["user"]]
        assert [each["hit"] for each in shown] == [each["item"] in example["wanted"] for each in shown]
        assert not {each["item"] for each in shown} & set(example["history"])
        assert np.all(np.diff([each["score"] for each in shown]) <= 0)
