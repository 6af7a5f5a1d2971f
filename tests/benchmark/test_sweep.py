"""Trials, searches and the sweep: what is run, what is found again, what is chosen, what is kept."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from bench_cases import csr, training_data

from benchmark.evaluation import Evaluator
from benchmark.models.base import Recommender
from benchmark.models.registry import find_model
from benchmark.search import running as running_module
from benchmark.search import sweep as sweep_module
from benchmark.search.contest import Contest
from benchmark.search.executors.base import Job, Lost
from benchmark.search.executors.serial import Serial
from benchmark.search.running import Ground, Outcome
from benchmark.search.sweep import Record, Request, Search, Sweep
from benchmark.search.trial import Protocol, Trial
from workbench.cost import Meter
from workbench.errors import UserError
from workbench.journal import Journal

N_USERS, N_ITEMS = 12, 15
RNG = np.random.default_rng(3)
ORDERS = [RNG.permutation(N_ITEMS).tolist() for _ in range(N_USERS)]
FEATURES = {"visual": RNG.standard_normal((N_ITEMS, 4)).astype(np.float32)}
DATA = training_data([order[:5] for order in ORDERS], N_ITEMS, FEATURES)
CPU = torch.device("cpu")


def judge() -> Evaluator:
    train = csr({user: dict.fromkeys(order[:5], 1.0) for user, order in enumerate(ORDERS)}, N_USERS)
    held_out = csr({user: dict.fromkeys(order[5:8], 1.0) for user, order in enumerate(ORDERS)}, N_USERS)
    return Evaluator(held_out, [train], N_ITEMS, N_ITEMS, ["Recall"], [5], CPU)


PROTOCOL = Protocol("data", 0.0, "Recall@5", 1, "cpu", "all", None, "validation")


STAGE = SimpleNamespace(ground=Ground(DATA, judge()), user_ids=[f"u{number}" for number in range(N_USERS)])


def trial(model: type[Recommender] | None = None, features: dict[str, str] | None = None, **params: Any) -> Trial:
    model = model or find_model("BPRMF")
    base = {"epochs": 3, "lr": 0.05, "factors": 4, "l_w": 0.01, "seed": 1}
    return Trial(model.__name__, model, model.Params(**{**base, **params}), PROTOCOL, features or {}, "metrics", STAGE)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Parameters of every trial that is really run."""
    seen: list[dict[str, Any]] = []
    original = sweep_module.run_task

    def counted(task: Any, ground: Any, watch: Any = None) -> Any:
        seen.append(task.params.model_dump())
        return original(task, ground, watch)

    monkeypatch.setattr(sweep_module, "run_task", counted)
    return seen


def sweep(folder: Path, **options: Any) -> Sweep:
    executor = Serial(lambda name: STAGE.ground)
    return Sweep(folder, Journal(folder / "journal.jsonl"), executor, lambda stage: "ground", 1, show=False, **options)


def search(trials: Sequence[Trial], drop: Callable[..., None] = lambda trials: None, **options: Any) -> Search[Any]:
    """Every trial is a configuration; ends with the place of the best and the records."""
    contest = Contest("Recall@5", drop)
    for each in trials:
        contest.add([each])

    def settle(place: int, record: Record) -> None:
        contest.enter(place, 0, record)

    records = yield Request(trials, [f"trial {place}" for place in range(len(trials))], settle, **options)
    return contest.best, records


def run(bench: Sweep, trials: Sequence[Trial], **options: Any) -> tuple[int | None, list[Record]]:
    (result,) = bench.run([search(trials, bench.drop_weights, **options)])
    if isinstance(result, UserError):
        raise result
    return result


def checkpoints(folder: Path) -> list[str]:
    return sorted(path.stem for path in (folder / "checkpoints").glob("*"))


def test_the_best_by_validation_is_chosen_and_only_its_weights_are_kept(tmp_path: Path) -> None:
    trials = [trial(lr=lr, l_w=l_w) for lr in (1e-6, 0.05, 0.2) for l_w in (0.0, 0.5)]
    best, records = run(sweep(tmp_path), trials)
    values = [record["validation"]["Recall@5"] for record in records]
    assert len(values) == 6 and len(set(values)) > 1
    assert best == values.index(max(values)), "the first among equals"
    assert checkpoints(tmp_path) == [trials[best].key]


def test_the_record_tells_what_the_restored_weights_give(tmp_path: Path) -> None:
    bench = sweep(tmp_path)
    _, records = run(bench, [trial(lr=0.05)])
    assert judge().means(bench.restore(trial(lr=0.05), "x")) == records[0]["validation"]
    assert records[0]["params"] == trial(lr=0.05).params.model_dump(mode="json")
    assert records[0]["parameters"] == (N_USERS + N_ITEMS) * 4
    assert len(records[0]["losses"]) == 3 and len(records[0]["history"]) == 3
    cost = records[0]["cost"]
    assert cost["seconds"] > 0 and cost["peak_memory_mb"] > 10 and cost["gpu_memory_mb"] is None
    assert cost["samples_per_second"] == pytest.approx(3 * len(DATA.items) / cost["seconds"], rel=1e-3)


def test_the_values_of_every_user_are_kept_for_every_trial(tmp_path: Path) -> None:
    trials = [trial(lr=lr) for lr in (0.01, 0.05)]
    _, records = run(sweep(tmp_path), trials)
    for each, record in zip(trials, records, strict=True):
        with np.load(tmp_path / "trials" / f"{each.key}.npz", allow_pickle=False) as values:
            assert values["users"].tolist() == [f"u{number}" for number in range(N_USERS)]
            assert values["Recall@5"].shape == (N_USERS,)
            assert values["Recall@5"].mean() == pytest.approx(record["validation"]["Recall@5"], abs=1e-12)


def test_a_second_run_trains_nothing_and_finds_the_same(tmp_path: Path, calls: list[dict[str, Any]]) -> None:
    trials = [trial(lr=lr) for lr in (0.01, 0.05)]
    first = run(sweep(tmp_path), trials)
    assert len(calls) == 2
    bench = sweep(tmp_path)
    assert run(bench, trials) == first
    bench.restore(trials[first[0] or 0], "x")
    assert len(calls) == 2


def test_a_new_value_trains_only_the_new_cells(tmp_path: Path, calls: list[dict[str, Any]]) -> None:
    run(sweep(tmp_path), [trial(lr=lr) for lr in (0.01, 0.05)])
    calls.clear()
    run(sweep(tmp_path), [trial(lr=lr, l_w=l_w) for lr in (0.01, 0.05) for l_w in (0.01, 0.3)])
    assert [(call["lr"], call["l_w"]) for call in calls] == [(0.01, 0.3), (0.05, 0.3)]


def test_a_sweep_cut_short_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: list[dict[str, Any]]
) -> None:
    trials = [trial(lr=lr) for lr in (0.01, 0.02, 0.05)]
    counted = sweep_module.run_task

    def killed(task: Any, ground: Any, watch: Any = None) -> Any:
        if task.params.lr == 0.05:
            raise KeyboardInterrupt
        return counted(task, ground, watch)

    with monkeypatch.context() as patch:
        patch.setattr(sweep_module, "run_task", killed)
        with pytest.raises(KeyboardInterrupt):
            run(sweep(tmp_path), trials)
    assert len(calls) == 2
    best, records = run(sweep(tmp_path), trials)
    assert [call["lr"] for call in calls] == [0.01, 0.02, 0.05]
    unbroken, others = run(sweep(tmp_path / "other"), trials)
    assert best == unbroken
    assert [each["validation"] for each in records] == [each["validation"] for each in others]


def test_trials_that_several_searches_ask_for_are_run_once(tmp_path: Path, calls: list[dict[str, Any]]) -> None:
    bench = sweep(tmp_path)
    both = bench.run([search([trial(), trial(lr=0.1)]), search([trial(lr=0.1), trial(lr=0.2)])])
    assert len(calls) == 3
    assert both[0][1][1] == both[1][1][0]  # type: ignore[index]


def test_searches_run_side_by_side_and_an_error_of_one_is_not_one_of_the_others(tmp_path: Path) -> None:
    def two_rounds() -> Search[str]:
        first = yield Request([trial()], ["a"])
        second = yield Request([trial(lr=first[0]["params"]["lr"] * 2)], ["b"])
        return f"{second[0]['params']['lr']:g}"

    def broken() -> Search[str]:
        yield Request([trial(lr=0.3)], ["c"])
        raise UserError("no use")

    def nothing() -> Search[str]:
        assert (yield Request([], [])) == []
        return "none"

    results = sweep(tmp_path).run([two_rounds(), broken(), nothing()])
    assert results[0] == "0.1" and results[2] == "none"
    assert isinstance(results[1], UserError) and results[1].what == "no use"


def test_a_diverging_trial_is_recorded_and_the_sweep_goes_on(
    tmp_path: Path, log: list[str], calls: list[dict[str, Any]]
) -> None:
    trials = [trial(lr=1e30), trial(lr=0.05)]
    best, records = run(sweep(tmp_path), trials)
    assert best == 1
    assert records[0]["why"] == "diverged" and "validation" not in records[0]
    assert any("the sweep goes on" in line for line in log)
    run(sweep(tmp_path), trials)
    assert len(calls) == 2, "what diverged is not tried again"
    assert checkpoints(tmp_path) == [trials[1].key]


class Failing:
    """Raises an error at the first calls of a model's loss."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: BaseException, times: int) -> None:
        self.calls = 0
        model = find_model("BPRMF")
        original = model.loss  # type: ignore[attr-defined]

        def loss(own: Any, batch: Any) -> Any:
            self.calls += 1
            if self.calls <= times:
                raise error
            return original(own, batch)

        monkeypatch.setattr(model, "loss", loss)


def test_a_crash_of_a_model_is_an_outcome_of_its_trial_with_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: list[str]
) -> None:
    Failing(monkeypatch, ZeroDivisionError("no such luck"), 1)
    best, records = run(sweep(tmp_path), [trial(), trial(lr=0.1)])
    assert best == 1
    assert records[0]["why"] == "crashed"
    assert "ZeroDivisionError: no such luck (test_sweep.py:" in records[0]["failed"]
    assert any("Traceback" in line for line in log)


def test_a_model_that_calls_exit_ends_its_trial_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Failing(monkeypatch, SystemExit(3), 1)
    best, records = run(sweep(tmp_path), [trial(), trial(lr=0.1)])
    assert best == 1
    assert (records[0]["why"], records[0]["failed"]) == ("crashed", "the model called sys.exit(3)")


@pytest.mark.parametrize("damage", [lambda data: data[:100], lambda data: b"", lambda data: b"x" * len(data)])
def test_damaged_weights_are_made_again(
    tmp_path: Path, calls: list[dict[str, Any]], log: list[str], damage: Callable[[bytes], bytes]
) -> None:
    run(sweep(tmp_path), [trial()])
    path = tmp_path / "checkpoints" / f"{trial().key}.safetensors"
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    sweep(tmp_path).restore(trial(), "x")
    assert len(calls) == 2 and path.read_bytes() == whole
    assert any("damaged, and removed" in line for line in log)


def test_weights_are_no_worse_for_want_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(sweep(tmp_path), [trial()])

    def short(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(sweep_module, "load_file", short)
    with pytest.raises(torch.OutOfMemoryError):
        sweep(tmp_path).restore(trial(), "x")
    assert checkpoints(tmp_path) == [trial().key]


def test_damaged_weights_that_may_not_be_made_again_are_left_alone(tmp_path: Path) -> None:
    run(sweep(tmp_path), [trial()])
    path = tmp_path / "checkpoints" / f"{trial().key}.safetensors"
    path.write_bytes(b"x" * 100)
    with pytest.raises(UserError, match="damaged"):
        sweep(tmp_path).restore(trial(), "x", only=True)
    assert path.read_bytes() == b"x" * 100


def test_what_was_spent_before_a_kill_counts() -> None:
    with Meter() as meter:
        spent = running_module.Spent(meter)
        spent.samples += 100
        before = {"seconds": 50.0, "cpu_seconds": 40.0, "peak_memory_mb": 1e6, "gpu_memory_mb": None,
                  "energy_joules": None, "samples": 900}  # fmt: skip
        spent.restore(before)
        spent.samples += 100
    cost = spent.cost()
    assert 50 < cost.seconds < 51 and 40 <= cost.cpu_seconds < 41 and cost.peak_memory_mb == 1e6
    assert cost.samples_per_second == pytest.approx(1000 / cost.seconds)
    assert spent.state()["samples"] == 1000


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
    ],
)
def test_out_of_memory_is_tried_once_more_with_half_the_block_and_then_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, log: list[str]
) -> None:
    shrinks: list[int] = []
    original = running_module._run

    def watched(task: Any, ground: Ground, *others: Any) -> Outcome:
        assert ground.validation is not None
        shrinks.append(ground.validation._shrink)
        return original(task, ground, *others)

    monkeypatch.setattr(running_module, "_run", watched)
    Failing(monkeypatch, error, 1)
    _, records = run(sweep(tmp_path / "once"), [trial()])
    assert "failed" not in records[0] and shrinks == [1, 2]
    Failing(monkeypatch, error, 2)
    _, records = run(sweep(tmp_path / "twice"), [trial()])
    assert records[0]["why"] == "out_of_memory" and shrinks == [1, 2, 1, 2]


def test_what_the_first_attempt_held_is_given_back_before_the_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[weakref.ref[torch.Tensor]] = []
    alive: list[list[bool]] = []
    model = find_model("BPRMF")
    original = model.loss  # type: ignore[attr-defined]

    def greedy(own: Any, batch: Any) -> Any:
        alive.append([each() is not None for each in held])
        if not held:
            block = torch.zeros(1000)
            held.append(weakref.ref(block))
            raise MemoryError
        return original(own, batch)

    monkeypatch.setattr(model, "loss", greedy)
    _, records = run(sweep(tmp_path), [trial()])
    assert "failed" not in records[0]
    assert alive[:2] == [[], [False]]


def test_a_trial_that_two_searches_share_keeps_its_weights_while_one_of_them_may_choose_it(
    tmp_path: Path, calls: list[dict[str, Any]]
) -> None:
    def reached(each: Trial) -> float:
        return float(run(sweep(tmp_path / "alone"), [each])[1][0]["validation"]["Recall@5"])

    worse, shared, better = sorted((trial(lr=lr) for lr in (1e-6, 0.05, 0.2)), key=reached)
    calls.clear()
    for order in ([shared, better], [shared, worse]), ([shared, worse], [shared, better]):
        folder = tmp_path / str(len(calls))
        bench = sweep(folder)
        found = bench.run([search(each, bench.drop_weights) for each in order])
        assert not any(isinstance(each, UserError) for each in found)
        before = len(calls)
        bench.restore(shared, "x")
        assert len(calls) == before, "its weights are there"
        assert checkpoints(folder) == sorted([shared.key, better.key])


def test_smaller_blocks_give_the_same_figures() -> None:
    model = find_model("BPRMF")
    made = model(model.Params(factors=4), DATA)
    assert judge().with_smaller_blocks().means(made) == judge().means(made)


def test_retry_runs_what_failed_and_only_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: list[dict[str, Any]]
) -> None:
    with monkeypatch.context() as patch:
        Failing(patch, ValueError("once"), 1)
        run(sweep(tmp_path), [trial(), trial(lr=0.1)])
    calls.clear()
    _, records = run(sweep(tmp_path, retry=True), [trial(), trial(lr=0.1)])
    assert len(calls) == 1 and not any("failed" in record for record in records)
    diverging = trial(lr=1e30)
    calls.clear()
    run(sweep(tmp_path, retry=True), [diverging, diverging])
    assert len(calls) == 1, "what fails again is not tried for ever"


def test_a_lost_worker_is_an_outcome_too(tmp_path: Path) -> None:
    class Losing(Serial):
        def next(self) -> tuple[Job, Any]:
            job, result = super().next()
            return (job, Lost("the worker was killed twice")) if job.key == lost.key else (job, result)

    lost = trial()
    bench = Sweep(
        tmp_path, Journal(tmp_path / "j"), Losing(lambda name: STAGE.ground), lambda stage: "g", 1, show=False
    )
    best, records = run(bench, [lost, trial(lr=0.1)])
    assert best == 1
    assert (records[0]["why"], records[0]["failed"]) == ("lost", "the worker was killed twice")
    assert records[0]["model"] == "BPRMF" and records[0]["params"]["lr"] == lost.params.lr


def test_restore_alone_trains_nothing(tmp_path: Path, calls: list[dict[str, Any]]) -> None:
    run(sweep(tmp_path), [trial()])
    run(sweep(tmp_path), [trial()], only_restore=True)
    with pytest.raises(UserError, match="`restore: true` trains nothing"):
        run(sweep(tmp_path), [trial(), trial(lr=0.1)], only_restore=True)
    assert len(calls) == 1
    run(sweep(tmp_path), [trial(lr=0.05), trial(lr=1e-6)])
    run(sweep(tmp_path), [trial(lr=0.05), trial(lr=1e-6)], only_restore=True, keep_weights=True)
    assert len(calls) == 2, "the weights of what lost are not needed"


def test_a_checkpoint_that_was_removed_is_made_again_the_same(tmp_path: Path, calls: list[dict[str, Any]]) -> None:
    bench = sweep(tmp_path)
    run(bench, [trial()])
    before = {name: value.clone() for name, value in bench.restore(trial(), "x").state_dict().items()}
    (tmp_path / "checkpoints" / f"{trial().key}.safetensors").unlink()
    again = sweep(tmp_path).restore(trial(), "x").state_dict()
    assert len(calls) == 2
    assert all(torch.equal(before[name], again[name]) for name in before)


def test_weights_that_must_be_there_are_made_again_where_they_are_lost(
    tmp_path: Path, calls: list[dict[str, Any]]
) -> None:
    trials = [trial(lr=lr) for lr in (0.01, 0.02)]
    run(sweep(tmp_path), trials)
    (result,) = sweep(tmp_path).run([search(trials, keep_weights=True)])
    assert not isinstance(result, UserError)
    assert len(calls) == 3
    assert checkpoints(tmp_path) == sorted(each.key for each in trials)


def test_followers_hear_of_every_trial_run_or_found(tmp_path: Path) -> None:
    class Follower:
        def __init__(self) -> None:
            self.heard: list[str] = []

        def trial(self, key: str, record: Record) -> None:
            self.heard.append(key)

    trials = [trial(lr=lr) for lr in (0.01, 0.02)]
    run(sweep(tmp_path), trials[:1])
    follower = Follower()
    run(sweep(tmp_path, followers=[follower]), trials)
    assert follower.heard == [each.key for each in trials]


def test_a_model_without_training_is_judged_as_it_is(tmp_path: Path) -> None:
    model = find_model("MostPop")
    _, records = run(sweep(tmp_path), [Trial("MostPop", model, model.Params(), PROTOCOL, {}, "metrics", STAGE)])
    assert records[0]["epoch"] == 0 and records[0]["cost"]["samples_per_second"] is None
    assert 0 <= records[0]["validation"]["Recall@5"] <= 1


def test_without_validation_there_is_no_value_to_choose_by_and_the_first_is_taken(tmp_path: Path) -> None:
    blind = SimpleNamespace(ground=Ground(DATA, None), user_ids=[])
    executor = Serial(lambda name: blind.ground)
    bench = Sweep(tmp_path, Journal(tmp_path / "j"), executor, lambda stage: "g", 1, show=False)
    best, records = run(bench, [replace(trial(), stage=blind)])
    assert best == 0
    assert records[0]["validation"] == {} and records[0]["epoch"] == 3


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]])
def test_the_order_in_which_records_come_changes_neither_the_best_nor_what_is_kept(order: list[int]) -> None:
    trials = [trial(lr=lr) for lr in (0.1, 0.2, 0.3, 0.4)]
    dropped: list[str] = []
    contest = Contest("Recall@5", lambda losers: dropped.extend(each.key for each in losers))
    for each in trials:
        contest.add([each])
    values = [0.2, 0.5, 0.5, None]
    for place in order:
        value = values[place]
        contest.enter(place, 0, {"failed": "x"} if value is None else {"validation": {"Recall@5": value}})
    assert contest.best == 1
    assert sorted(dropped) == sorted(trials[place].key for place in (0, 2, 3))


def test_a_configuration_counts_with_the_mean_over_its_validation_folds() -> None:
    contest = Contest("Recall@5", lambda losers: None)
    for lr in (0.1, 0.2):
        contest.add([trial(lr=lr, seed=1), trial(lr=lr, seed=2)])
    for place, fold, value in ((0, 0, 0.9), (1, 1, 0.6), (0, 1, 0.1), (1, 0, 0.5)):
        contest.enter(place, fold, {"validation": {"Recall@5": value}})
    assert contest.best == 1
    assert contest.value(0) == 0.5 and contest.value(1) == pytest.approx(0.55)


def test_the_key_changes_with_everything_that_the_outcome_depends_on(tmp_path: Path) -> None:
    vbpr = find_model("VBPR")
    plain = trial()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        source = "from external.models.bprmf import BPRMF as Parent\n\n\nclass Mine(Parent):\n    pass\n"
        (tmp_path / name / "mine.py").write_text(source + ("# another line\n" if name == "two" else ""))
    mine = [find_model("Mine", tmp_path / name) for name in ("one", "two")]
    trials = [
        plain,
        trial(seed=2),
        trial(lr=0.1),
        trial(mine[0]),
        trial(mine[1]),
        replace(plain, name="Other"),
        trial(vbpr, {"visual": "a"}),
        trial(vbpr, {"visual": "b"}),
        trial(vbpr, {"visual": "a", "textual": "c"}),
        trial(vbpr, {"textual": "c", "visual": "a"}),
        *[
            replace(plain, protocol=replace(PROTOCOL, **change))
            for change in (
                {"data": "other"},
                {"threshold": 3.0},
                {"monitor": "Recall@1"},
                {"every": 2},
                {"device": "cuda"},
                {"candidates": "drawn"},
                {"digits": 4},
            )
        ],
    ]
    assert len({each.key for each in trials}) == len(trials)
    assert trial().key == plain.key


def test_a_file_that_is_edited_while_the_sweep_runs_is_not_what_runs(tmp_path: Path) -> None:
    source = "from external.models.bprmf import BPRMF\n\n\nclass Child(BPRMF):\n    pass\n"
    (tmp_path / "child.py").write_text(source)
    model = find_model("Child", tmp_path)
    before = trial(model)
    (tmp_path / "child.py").write_text(source + "# edited\n")
    assert trial(model, seed=2).code == before.code, "of the class that was read"
    assert trial(find_model("Child", tmp_path)).code != before.code


def test_a_trial_is_a_pure_function_whatever_ran_before(tmp_path: Path) -> None:
    _, alone = run(sweep(tmp_path / "alone"), [trial(lr=0.05)])
    _, after = run(sweep(tmp_path / "after"), [trial(lr=0.2, seed=9), trial(lr=0.05)])
    assert alone[0]["losses"] == after[1]["losses"]
    assert alone[0]["validation"] == after[1]["validation"]
