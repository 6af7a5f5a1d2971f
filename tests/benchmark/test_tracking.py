"""Trackers: what they are told is read back from their own files; they are told it once, and never hold up a sweep."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from benchmark.config.tracking import MlflowSettings, TrackingSettings, WandbSettings
from benchmark.reports.report import Failure, ModelResult, Replicate, Report
from benchmark.tracking import check_trackers, open_trackers, opening
from benchmark.tracking.base import curves, figures, parameters, run_name
from workbench.config import Settings, read_yaml, validate
from workbench.errors import UserError

COST = {
    "seconds": 12.5, "cpu_seconds": 20.0, "peak_memory_mb": 900.0, "gpu_memory_mb": None, "energy_joules": None,
    "samples_per_second": 1e6,
}  # fmt: skip
RECORD: dict[str, Any] = {
    "kind": "trial", "key": "0123456789abcdef", "model": "external.VBPR",
    "params": {"lr": 0.005, "epochs": 3, "batch_size": 1024, "modalities": ["visual", "textual"], "seed": 42},
    "epoch": 2, "validation": {"Recall@20": 0.25, "nDCG@20": 0.125}, "losses": [0.7, 0.6, 0.5],
    "history": [[2, 0.25], [3, 0.2]], "stopped": None, "parameters": 4096, "cost": COST,
}  # fmt: skip
FAILED: dict[str, Any] = {
    "kind": "trial", "key": "fedcba9876543210", "model": "external.VBPR", "params": {"lr": 9.0, "seed": 42},
    "failed": "the loss of epoch 1 is nan", "why": "diverged", "cost": COST,
}  # fmt: skip


def row(name: str, recall: float) -> ModelResult:
    return ModelResult(
        row=name, model="external.VBPR", stem=name, varied=["lr"], monitor="Recall@20", validation=0.25,
        chosen=[[RECORD]], trials=[RECORD, FAILED], replicates=[Replicate(0, 0, 42, {"Recall@20": recall})],
        test={"Recall@20": recall, "nDCG@20": math.nan}, spread={"Recall@20": 0.0625}, users=10, system={}, slices=[],
    )  # fmt: skip


def report(recall: float = 0.5) -> Report:
    return Report(
        dataset="toy", experiment="two", finished="2025-01-01 00:00:00", heading=[], protocol={}, counts={},
        cutoffs=[20], metrics=["Recall@20", "nDCG@20"], suffix="", threshold=0.0, chosen_on_test=False, tests=[],
        models=[row("VBPR", recall), row("BPR/MF", 0.375)], failed=[Failure("Broken", "no figures")], comparisons=[],
        guard=[], machine={}, versions={}, config="experiment:\n  dataset: toy\n", examples=[],
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A results folder with some of its files."""
    path = tmp_path / "results" / "toy" / "two"
    path.mkdir(parents=True)
    (path / "results.tsv").write_text("model\tRecall@20\nVBPR\t0.5\n")
    (path / "config.yml").write_text("experiment:\n  dataset: toy\n")
    return path


def tell(folder: Path, tracking: Any, *records: dict[str, Any], finish: bool = True) -> None:
    """A run of a sweep: every trial, then the results."""
    trackers = open_trackers(TrackingSettings.model_validate(tracking), folder, "toy", "two")
    for tracker in trackers:
        for record in records:
            tracker.trial(record["key"], record)
        if finish:
            tracker.results(report(), folder)
        tracker.close()


# --- settings -------------------------------------------------------------------------------------------------------


class Around(Settings):
    dataset: str
    tracking: TrackingSettings | None = None


def read(tmp_path: Path, tracking: Any) -> TrackingSettings | None:
    path = tmp_path / "two.yml"
    path.write_text(yaml.safe_dump({"dataset": "toy", "tracking": tracking}, sort_keys=False))
    document = read_yaml(path)
    return validate(Around, document.data, document).tracking


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (None, None),
        ("tensorboard", ["tensorboard"]),
        (["tensorboard", "wandb"], ["tensorboard", "wandb"]),
        ({"wandb": {"project": "p", "mode": "offline"}, "mlflow": None}, ["wandb", "mlflow"]),
        (["tensorboard", {"mlflow": {"uri": "sqlite:///x.db"}}], ["tensorboard", "mlflow"]),
    ],
)
def test_trackers_are_named_alone_in_a_list_or_with_their_settings(
    tmp_path: Path, given: Any, names: list[str] | None
) -> None:
    found = read(tmp_path, given)
    assert names == (None if found is None else list(found.model_dump(exclude_none=True)))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("wanb", r"two.yml:2: unknown key `tracking.wanb`\n.*did you mean 'wandb'"),
        (["tensorboard", "mlfow"], r"unknown key `tracking.mlfow`\n.*did you mean 'mlflow'"),
        ({"wandb": {"projekt": "x"}}, r"two.yml:4: unknown key `tracking.wandb.projekt`\n.*did you mean 'project'"),
        ({"wandb": {"mode": "ofline"}}, r"`tracking.wandb.mode`: .*\n.*did you mean 'offline'"),
        (["wandb", "wandb"], "wandb stands twice"),
        ([], "it names no tracker"),
        (True, "should be a tracker's name"),
        ({1: None}, "should be a tracker's name"),
        ({"wandb": 3}, r"`tracking.wandb`: should be a mapping"),
    ],
)
def test_a_wrong_setting_is_answered_with_the_nearest_legal_one(tmp_path: Path, given: Any, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        read(tmp_path, given)


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow"])
def test_a_missing_package_is_named_before_anything_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    settings = TrackingSettings.model_validate(name)
    check_trackers(settings)
    for absent in (None, ModuleSpec(name, None, is_package=True)):  # or an empty folder of that name
        monkeypatch.setattr(opening, "find_spec", lambda package, found=absent: found)
        with pytest.raises(
            UserError, match=rf"`tracking: {name}` needs .* {name}\n.*pip install 'bottega\[tracking\]'"
        ):
            open_trackers(settings, folder, "toy", "two")
    assert not (folder / "tracking").exists()


def test_no_tracking_is_no_trackers_and_no_files(folder: Path) -> None:
    check_trackers(None)
    assert open_trackers(None, folder, "toy", "two") == []
    assert not (folder / "tracking").exists()


def test_a_data_base_needs_its_packages_and_a_server_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "find_spec", lambda name: SimpleNamespace(origin="x") if name != "alembic" else None)
    with pytest.raises(UserError, match="needs the package alembic"):
        check_trackers(TrackingSettings(mlflow=MlflowSettings()))
    check_trackers(TrackingSettings(mlflow=MlflowSettings(uri="http://localhost:5000")))


def test_importing_an_experiment_loads_no_tracker() -> None:
    code = (
        "import sys, benchmark.experiment.run, benchmark.tracking\n"
        "found = {'tensorboard', 'wandb', 'mlflow'} & set(sys.modules)\n"
        "assert not found, found"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- what every tracker is told -------------------------------------------------------------------------------------


def test_a_record_as_numbers() -> None:
    assert run_name("0123456789abcdef", RECORD) == "external.VBPR-01234567"
    assert parameters(RECORD)["modalities"] == '["visual", "textual"]' and parameters(RECORD)["lr"] == 0.005
    assert figures(RECORD) == {
        "validation/Recall@20": 0.25, "validation/nDCG@20": 0.125, "cost/seconds": 12.5, "cost/cpu_seconds": 20.0,
        "cost/peak_memory_mb": 900.0, "cost/samples_per_second": 1e6, "epoch": 2.0, "weights": 4096.0,
    }  # fmt: skip
    assert curves(RECORD) == {
        1: {"loss": 0.7}, 2: {"loss": 0.6, "validation/monitor": 0.25}, 3: {"loss": 0.5, "validation/monitor": 0.2},
    }  # fmt: skip


def test_what_is_not_finite_or_not_there_is_left_out() -> None:
    assert figures(FAILED)["cost/seconds"] == 12.5 and "epoch" not in figures(FAILED)
    assert curves(FAILED) == {}
    assert curves({**RECORD, "losses": [math.nan, 1.0], "history": []}) == {2: {"loss": 1.0}}
    assert parameters({"params": {"topk": None}}) == {"topk": "null"}


# --- guarded --------------------------------------------------------------------------------------------------------


class Told:
    """A tracker that remembers; it fails at the calls named in `failing`."""

    def __init__(self, failing: tuple[str, ...] = ()) -> None:
        self.calls: list[str] = []
        self._failing = failing

    def _note(self, call: str) -> None:
        self.calls.append(call)
        if call in self._failing:
            raise ConnectionError(f"no network at {call}\nsecond line")

    def trial(self, key: str, record: Mapping[str, Any]) -> None:
        self._note(key)

    def results(self, report: Report, folder: Path) -> None:
        self._note("results")

    def close(self) -> None:
        self._note("close")


@pytest.fixture
def guarded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """`guarded(told, tracking)`: the trackers of an experiment, with `told` in the place of TensorBoard's."""

    def opened(told: Told, tracking: Any = "tensorboard") -> Any:
        monkeypatch.setattr("benchmark.tracking.tensorboard.TensorboardTracker", lambda folder: told)
        (tracker,) = open_trackers(TrackingSettings.model_validate(tracking), folder, "toy", "two")
        return tracker

    return opened


def test_on_a_second_run_nothing_is_told_twice(guarded: Callable[..., Any], folder: Path) -> None:
    first, second, third, elsewhere = Told(), Told(), Told(), Told()
    tracker = guarded(first)
    tracker.trial("a", RECORD)
    tracker.close()
    tracker = guarded(second)
    for key in ("a", "b", "b"):
        tracker.trial(key, RECORD)
    tracker.results(report(), folder)
    tracker.results(report(), folder)
    tracker.close()
    assert (first.calls, second.calls) == (["a", "close"], ["b", "results", "close"])
    tracker = guarded(third)
    tracker.trial("a", RECORD)
    tracker.results(report(), folder)
    assert third.calls == []
    tracker.results(report(recall=0.625), folder)  # the sweep was extended and another configuration won
    assert third.calls == ["results"]
    tracker = guarded(elsewhere, {"tensorboard": {"folder": "elsewhere"}})
    tracker.trial("a", RECORD)
    assert elsewhere.calls == ["a"]


def test_a_tracker_that_fails_is_warned_of_once_and_the_next_run_makes_up_for_it(
    guarded: Callable[..., Any], folder: Path, log: list[str]
) -> None:
    told, later = Told(failing=("b",)), Told()
    tracker = guarded(told)
    for key in ("a", "b", "c"):
        tracker.trial(key, RECORD)
    tracker.results(report(), folder)
    tracker.close()
    assert told.calls == ["a", "b"]
    warnings = [line for line in log if line.startswith("WARNING")]
    assert len(warnings) == 1 and "tensorboard failed (ConnectionError: no network at b)" in warnings[0]
    tracker = guarded(later)
    for key in ("a", "b", "c"):
        tracker.trial(key, RECORD)
    assert later.calls == ["b", "c"]


def test_a_tracker_that_cannot_begin_or_close_does_not_end_the_sweep(
    guarded: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, folder: Path, log: list[str]
) -> None:
    def refuse(folder: Path) -> Told:
        raise PermissionError("read-only")

    told = Told(failing=("close",))
    tracker = guarded(told)
    tracker.trial("a", RECORD)
    tracker.close()
    tracker = guarded(told)
    monkeypatch.setattr("benchmark.tracking.tensorboard.TensorboardTracker", refuse)
    tracker = open_trackers(TrackingSettings.model_validate("tensorboard"), folder, "toy", "two")[0]
    tracker.trial("b", RECORD)
    tracker.close()
    assert sum(line.startswith("WARNING") for line in log) == 2


def test_stopping_by_hand_goes_through(guarded: Callable[..., Any]) -> None:
    class Interrupted(Told):
        def trial(self, key: str, record: Mapping[str, Any]) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        guarded(Interrupted()).trial("a", RECORD)


# --- TensorBoard ----------------------------------------------------------------------------------------------------


def events(folder: Path) -> Any:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder))
    found.Reload()
    return found


def scalars(found: Any, name: str) -> dict[int, float]:
    return {event.step: pytest.approx(event.value) for event in found.Scalars(name)}


def test_tensorboard_holds_curves_figures_and_parameters(folder: Path) -> None:
    pytest.importorskip("tensorboard")
    tell(folder, "tensorboard", RECORD, FAILED)
    board = folder / "tracking" / "tensorboard"
    trial = events(board / "external.VBPR-01234567")
    assert scalars(trial, "loss") == {1: 0.7, 2: 0.6, 3: 0.5}
    assert scalars(trial, "validation/monitor") == {2: 0.25, 3: 0.2}
    assert scalars(trial, "cost/seconds") == {0: 12.5} and scalars(trial, "validation/Recall@20") == {0: 0.25}
    assert "cost/gpu_memory_mb" not in trial.Tags()["scalars"]
    plugins = trial.SummaryMetadata("_hparams_/session_start_info").plugin_data
    assert b"batch_size" in plugins.content and b'["visual", "textual"]' in plugins.content
    failed = events(board / "external.VBPR-fedcba98")
    assert b"the loss of epoch 1 is nan" in failed.Tensors("failed/text_summary")[0].tensor_proto.string_val[0]
    assert scalars(events(board / "test" / "VBPR"), "test/Recall@20") == {0: 0.5}
    other = events(board / "test" / "BPR%2FMF")
    assert scalars(other, "deviation/Recall@20") == {0: 0.0625} and "test/nDCG@20" not in other.Tags()["scalars"]
    assert b"dataset: toy" in events(board / "test").Tensors("config/text_summary")[0].tensor_proto.string_val[0]


def test_tensorboard_writes_where_it_is_told_from_the_experiment_file_on(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    settings = TrackingSettings.model_validate({"tensorboard": {"folder": "runs"}})
    (tracker,) = open_trackers(settings, folder, "toy", "two", base=tmp_path / "configs")
    tracker.trial("a" * 16, RECORD)
    assert scalars(events(tmp_path / "configs" / "runs" / "toy" / "two" / "external.VBPR-aaaaaaaa"), "loss")


# --- MLflow ---------------------------------------------------------------------------------------------------------


@pytest.mark.heavy
def test_mlflow_holds_a_run_for_each_trial_and_row_below_that_of_the_experiment(folder: Path) -> None:
    pytest.importorskip("mlflow")
    pytest.importorskip("alembic")
    from mlflow import MlflowClient, active_run

    tell(folder, "mlflow", RECORD, finish=False)
    tell(folder, "mlflow", RECORD, FAILED)
    assert active_run() is None
    client = MlflowClient(f"sqlite:///{folder.resolve()}/tracking/mlflow/mlflow.db")
    experiment = client.get_experiment_by_name("toy/two")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert sorted(runs) == ["BPR/MF", "VBPR", "external.VBPR-01234567", "external.VBPR-fedcba98", "toy/two"]
    parent, good, bad = runs["toy/two"], runs["external.VBPR-01234567"], runs["external.VBPR-fedcba98"]
    below = {run.data.tags.get("mlflow.parentRunId") for name, run in runs.items() if name != "toy/two"}
    assert below == {parent.info.run_id}
    assert good.info.status == "FINISHED" and bad.info.status == "FAILED"
    assert good.data.params["lr"] == "0.005" and good.data.params["modalities"] == '["visual", "textual"]'
    assert good.data.metrics["validation/Recall_at_20"] == 0.25 and good.data.metrics["cost/seconds"] == 12.5
    history = client.get_metric_history(good.info.run_id, "loss")
    assert [(each.step, each.value) for each in history] == [(1, 0.7), (2, 0.6), (3, 0.5)]
    assert bad.data.tags["failed"] == "the loss of epoch 1 is nan" and bad.data.tags["why"] == "diverged"
    assert runs["VBPR"].data.metrics == {"test/Recall_at_20": 0.5, "deviation/Recall_at_20": 0.0625}
    assert {each.path for each in client.list_artifacts(parent.info.run_id)} == {"results.tsv", "config.yml"}
    (tracker,) = open_trackers(TrackingSettings.model_validate("mlflow"), folder, "toy", "two")
    tracker.results(report(recall=0.625), folder)
    rows = [run for run in client.search_runs([experiment.experiment_id]) if run.info.run_name == "VBPR"]
    assert [run.data.metrics["test/Recall_at_20"] for run in rows] == [0.625]


# --- Weights & Biases -----------------------------------------------------------------------------------------------


def test_wandb_is_offline_unless_told_otherwise_or_given_a_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from benchmark.tracking.wandb import find_mode

    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    keys = tmp_path / "netrc"
    monkeypatch.setenv("NETRC", str(keys))
    assert find_mode(WandbSettings()) == "offline"
    keys.write_text("machine api.example.org login user password secret\n")
    keys.chmod(0o600)
    assert find_mode(WandbSettings()) == "offline"
    monkeypatch.setenv("WANDB_BASE_URL", "https://api.example.org")
    assert find_mode(WandbSettings()) == "online"
    assert find_mode(WandbSettings(mode="offline")) == "offline"
    keys.write_text("broken netrc")
    assert find_mode(WandbSettings()) == "offline"
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    assert find_mode(WandbSettings()) == "online"
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert find_mode(WandbSettings()) is None


def offline_run(path: Path) -> list[Any]:
    """The records of an offline run: protobuf messages in LevelDB's log format, blocks of 32 KiB after 7 bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, whole, found = path.read_bytes(), 7, b"", []
    while at + 7 <= len(data):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        whole = (whole if kind in (3, 4) else b"") + data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            found.append(Record.FromString(whole))
    return found


def items(entries: Any) -> dict[str, Any]:
    """Key -> value of the items of a record."""
    return {each.key or "/".join(each.nested_key): json.loads(each.value_json) for each in entries}


def test_wandb_offline_holds_a_run_for_each_trial_and_one_for_the_results(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    wandb = pytest.importorskip("wandb")
    for name in ("DATA_DIR", "CACHE_DIR", "CONFIG_DIR"):
        monkeypatch.setenv(f"WANDB_{name}", str(tmp_path / name))
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    tell(folder, {"wandb": {"mode": "offline", "project": "films"}}, RECORD, FAILED)
    assert wandb.run is None and capfd.readouterr().out == ""
    begun: dict[str, list[Any]] = {}
    for path in (folder / "tracking" / "wandb").glob("offline-run-*/run-*.wandb"):
        records = offline_run(path)
        (run,) = (record.run for record in records if record.HasField("run"))
        assert (run.project, run.run_group) == ("films", "toy/two")
        begun[run.display_name] = records
    assert sorted(begun) == ["external.VBPR-01234567", "external.VBPR-fedcba98", "results"]
    good = begun["external.VBPR-01234567"]
    (run,) = (record.run for record in good if record.HasField("run"))
    config = items(run.config.update)
    assert run.job_type == "trial" and config["lr"] == 0.005 and config["model"] == "external.VBPR"
    history = [items(record.history.item) for record in good if record.HasField("history")]
    assert [(each["epoch"], each["loss"]) for each in history] == [(1, 0.7), (2, 0.6), (3, 0.5)]
    summary: dict[str, Any] = {}
    for record in good:
        summary |= items(record.summary.update) if record.HasField("summary") else {}
    assert summary["validation/Recall@20"] == 0.25 and summary["cost/seconds"] == 12.5
    codes = {
        name: [record.exit.exit_code for record in records if record.HasField("exit")]
        for name, records in begun.items()
    }
    assert codes == {"external.VBPR-01234567": [0], "external.VBPR-fedcba98": [1], "results": [0]}
    results: dict[str, Any] = {}
    for record in begun["results"]:
        results |= items(record.summary.update) if record.HasField("summary") else {}
    assert results["VBPR/test/Recall@20"] == 0.5
    attached = [
        [each.path for each in record.request.log_artifact.artifact.manifest.contents]
        or [each.path for each in record.artifact.manifest.contents]
        for record in begun["results"]
        if record.HasField("artifact") or record.request.HasField("log_artifact")
    ]
    assert ["config.yml", "results.tsv"] in [sorted(paths) for paths in attached]
