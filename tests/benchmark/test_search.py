"""The grid, the journal, and what a sweep runs again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from bench_cases import csr, training_data
from hypothesis import given
from hypothesis import strategies as st

from benchmark.config import Meta, ModelBlock
from benchmark.evaluation import Evaluator
from benchmark.models.base import Recommender
from benchmark.models.registry import find_model
from benchmark.search import sweep as sweep_module
from benchmark.search.grid import grid
from benchmark.search.sweep import Sweep
from benchmark.search.trial import Protocol, Trial, code_hash
from workbench.config import Document, read_yaml
from workbench.errors import UserError
from workbench.journal import Journal

# --- grid


def block(tmp_path: Path, text: str, **meta: Any) -> tuple[ModelBlock, Document]:
    path = tmp_path / "x.yml"
    path.write_text("experiment:\n  models:\n    M:\n" + "".join(f"      {line}\n" for line in text.splitlines()))
    document = read_yaml(path)
    return ModelBlock("M", document.data["experiment"]["models"]["M"], Meta(**meta)), document


def test_every_combination_comes_once_the_last_key_fastest(tmp_path: Path) -> None:
    made, varied = grid(*block(tmp_path, "lr: [1e-3, 5e-3]\nfactors: 8\nl_w: [0.1, 0.2, 0.3]\nseed: [1]"))
    assert made == [{"lr": lr, "factors": 8, "l_w": l_w, "seed": 1} for lr in (0.001, 0.005) for l_w in (0.1, 0.2, 0.3)]
    assert varied == ["lr", "l_w"]


@pytest.mark.parametrize(("most", "left"), [(1, 1), (4, 4), (6, 6), (99, 6)])
def test_hyper_max_evals_cuts_the_list_short(tmp_path: Path, most: int, left: int) -> None:
    text = "lr: [1, 2]\nl_w: [1, 2, 3]"
    whole, _ = grid(*block(tmp_path, text))
    made, _ = grid(*block(tmp_path, text, hyper_max_evals=most))
    assert made == whole[:left]


def test_a_model_without_lists_has_one_combination(tmp_path: Path) -> None:
    assert grid(*block(tmp_path, "lr: 1\nmodalities: ('visual', 'textual')")) == (
        [{"lr": 1, "modalities": "('visual', 'textual')"}],
        [],
    )


@pytest.mark.parametrize("name", ["uniform", "loguniform", "choice", "quniform", "randint"])
def test_a_distribution_is_refused_by_its_name_and_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=f"`lr`: the distribution '{name}' is not supported yet") as caught:
        grid(*block(tmp_path, f"l_w: 1\nlr: [{name}, 0.1, 1]"))
    assert caught.value.where == f"{tmp_path / 'x.yml'}:5"


def test_an_empty_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="`lr` is an empty list"):
        grid(*block(tmp_path, "lr: []"))


# --- journal


def test_records_come_back_by_kind_and_key_and_the_latest_wins(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "journal.jsonl"
    journal = Journal(path)
    journal.append("trial", "k", {"value": 1, "history": [(1, 0.1), (2, 1 / 3)]})
    journal.append("test", "k", {"value": 2})
    journal.append("trial", "k", {"value": 3, "name": "Straße 🎬\u2028 \x85 line"})
    for each in (journal, Journal(path)):
        assert each.get("trial", "k") == {"kind": "trial", "key": "k", "value": 3, "name": "Straße 🎬\u2028 \x85 line"}
        assert each.get("test", "k") == {"kind": "test", "key": "k", "value": 2}
        assert each.get("trial", "absent") is None
    assert path.read_text(encoding="utf-8").count("\n") == 3


@given(cut=st.integers(1, 60))
def test_a_torn_last_line_is_left_out_and_the_next_record_starts_on_a_line_of_its_own(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    journal = Journal(path)
    journal.append("trial", "a", {"value": "x" * 50})
    journal.append("trial", "b", {"value": "y" * 50})
    path.write_bytes(path.read_bytes()[:-cut])
    again = Journal(path)
    assert again.get("trial", "a") is not None
    assert (again.get("trial", "b") is None) == (cut > 1), "only the line's end may be missing"
    again.append("trial", "c", {"value": 3})
    again.append("trial", "d", {"value": 4})
    healed = Journal(path)
    assert healed.get("trial", "c") == {"kind": "trial", "key": "c", "value": 3}
    assert healed.get("trial", "d") == {"kind": "trial", "key": "d", "value": 4}
    assert healed.get("trial", "a") == again.get("trial", "a")


@pytest.mark.parametrize(
    "line", ['{"kind": "trial", "key": "a", "value": 9, "check": "0"}', "3", "[1]", "null", "{}", "not json", '"text"']
)
def test_a_line_that_is_no_intact_record_is_left_out_with_a_warning(tmp_path: Path, log: list[str], line: str) -> None:
    path = tmp_path / "journal.jsonl"
    Journal(path).append("trial", "a", {"value": 1})
    with path.open("a") as stream:
        stream.write(line + "\n")
    Journal(path).append("trial", "b", {"value": 2})
    again = Journal(path)
    assert again.get("trial", "a") == {"kind": "trial", "key": "a", "value": 1}
    assert again.get("trial", "b") is not None
    assert any("1 damaged lines are left out" in entry for entry in log)


def test_a_figure_changed_by_hand_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    Journal(path).append("trial", "a", {"value": 0.1234})
    path.write_text(path.read_text().replace("0.1234", "0.9234"))
    assert Journal(path).get("trial", "a") is None


# --- sweep

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


PROTOCOL = Protocol("data", ("Recall",), (5,), 0.0, "Recall@5", 1, "cpu", "all", None, "validation")


STAGE = SimpleNamespace(data=DATA, validation=judge(), user_ids=[f"u{number}" for number in range(N_USERS)])


def trial(model: type[Recommender] | None = None, features: dict[str, str] | None = None, **params: Any) -> Trial:
    model = model or find_model("BPRMF")
    base = {"epochs": 3, "lr": 0.05, "factors": 4, "l_w": 0.01, "seed": 1}
    return Trial(model.__name__, model, model.Params(**{**base, **params}), PROTOCOL, features or {}, STAGE)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """Parameters of every trial that is really run."""
    seen: list[dict[str, Any]] = []
    original = sweep_module.run_trial

    def counted(trial: Trial, *arguments: Any) -> Any:
        seen.append(trial.params.model_dump())
        return original(trial, *arguments)

    monkeypatch.setattr(sweep_module, "run_trial", counted)
    yield seen


def sweep(folder: Path, keep: bool = False) -> Sweep:
    return Sweep(folder, Journal(folder / "journal.jsonl"), keep, show=False)


def checkpoints(folder: Path) -> list[str]:
    return sorted(path.stem for path in (folder / "checkpoints").glob("*"))


def test_the_best_by_validation_is_chosen_and_only_its_weights_are_kept(tmp_path: Path) -> None:
    trials = [trial(lr=lr, l_w=l_w) for lr in (1e-6, 0.05, 0.2) for l_w in (0.0, 0.5)]
    chosen = sweep(tmp_path).run([[each] for each in trials])
    tried = [records[0] for records in chosen.configurations]
    values = [record["validation"]["Recall@5"] for record in tried]
    assert len(values) == 6 and len(set(values)) > 1
    assert chosen.trials[0] is trials[values.index(max(values))], "the first among equals"
    assert chosen.records[0] is tried[values.index(max(values))]
    assert checkpoints(tmp_path) == [chosen.trials[0].key]


def test_the_record_tells_what_the_restored_weights_give(tmp_path: Path) -> None:
    bench = sweep(tmp_path)
    chosen = bench.run([[trial(lr=lr)] for lr in (0.01, 0.05)])
    assert judge().means(bench.restore(chosen.trials[0])) == chosen.records[0]["validation"]
    record = chosen.records[0]
    assert record["params"] == chosen.trials[0].params.model_dump(mode="json")
    assert record["parameters"] == (N_USERS + N_ITEMS) * 4
    assert len(record["losses"]) == 3 and len(record["history"]) == 3
    assert record["seconds"] > 0 and record["peak_memory_mb"] > 10


def test_the_values_of_every_user_are_kept_for_every_trial(tmp_path: Path) -> None:
    bench = sweep(tmp_path)
    trials = [trial(lr=lr) for lr in (0.01, 0.05)]
    chosen = bench.run([[each] for each in trials])
    for each, (record,) in zip(trials, chosen.configurations, strict=True):
        with np.load(tmp_path / "trials" / f"{each.key}.npz", allow_pickle=False) as values:
            assert values["users"].tolist() == [f"u{number}" for number in range(N_USERS)]
            assert values["Recall@5"].shape == (N_USERS,)
            assert values["Recall@5"].mean() == pytest.approx(record["validation"]["Recall@5"], abs=1e-12)


def test_a_second_run_trains_nothing_and_chooses_the_same(tmp_path: Path, calls: list[dict[str, Any]]) -> None:
    trials = [trial(lr=lr) for lr in (0.01, 0.05)]
    first = sweep(tmp_path).run([[each] for each in trials])
    assert len(calls) == 2
    second = sweep(tmp_path).run([[each] for each in trials])
    assert len(calls) == 2
    assert second.trials[0] is first.trials[0]
    before, after = first.records[0], second.records[0]
    assert json.dumps(after, sort_keys=True) == json.dumps(before | after, sort_keys=True)
    sweep(tmp_path).restore(second.trials[0])
    assert len(calls) == 2


def test_a_new_value_trains_only_the_new_cells(tmp_path: Path, calls: list[dict[str, Any]]) -> None:
    sweep(tmp_path).run([[trial(lr=lr)] for lr in (0.01, 0.05)])
    calls.clear()
    sweep(tmp_path).run([[trial(lr=lr, l_w=l_w)] for lr in (0.01, 0.05) for l_w in (0.01, 0.3)])
    assert [(call["lr"], call["l_w"]) for call in calls] == [(0.01, 0.3), (0.05, 0.3)]


def test_a_sweep_cut_short_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: list[dict[str, Any]]
) -> None:
    trials = [trial(lr=lr) for lr in (0.01, 0.02, 0.05)]
    counted = sweep_module.run_trial

    def killed(trial_: Trial, *arguments: Any) -> Any:
        if trial_ is trials[2]:
            raise KeyboardInterrupt
        return counted(trial_, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(sweep_module, "run_trial", killed)
        with pytest.raises(KeyboardInterrupt):
            sweep(tmp_path).run([[each] for each in trials])
    assert len(calls) == 2
    resumed = sweep(tmp_path).run([[each] for each in trials])
    assert [call["lr"] for call in calls] == [0.01, 0.02, 0.05]
    unbroken = sweep(tmp_path / "other").run([[each] for each in trials])
    assert resumed.trials[0] is unbroken.trials[0]
    assert [r["validation"] for [r] in resumed.configurations] == [r["validation"] for [r] in unbroken.configurations]


def test_a_value_given_twice_is_neither_trained_nor_restored_twice(tmp_path: Path, calls: list[dict[str, Any]]) -> None:
    bench = sweep(tmp_path)
    chosen = bench.run([[trial(lr=0.05)], [trial(lr=0.05)]])
    bench.restore(chosen.trials[0])
    assert len(calls) == 1
    assert len(chosen.configurations) == 1


def test_a_diverging_trial_is_recorded_and_the_sweep_goes_on(
    tmp_path: Path, log: list[str], calls: list[dict[str, Any]]
) -> None:
    trials = [trial(lr=1e30), trial(lr=0.05)]
    chosen = sweep(tmp_path).run([[each] for each in trials])
    assert chosen.trials[0] is trials[1]
    assert "failed" in chosen.configurations[0][0] and "validation" not in chosen.configurations[0][0]
    assert any("the sweep goes on" in line for line in log)
    sweep(tmp_path).run([[each] for each in trials])
    assert len(calls) == 2, "what diverged is not tried again"
    assert checkpoints(tmp_path) == [trials[1].key]


def test_when_every_trial_diverges_it_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none of 2 configurations gave a figure") as caught:
        sweep(tmp_path).run([[trial(lr=1e30)], [trial(lr=1e31)]])
    assert caught.value.mend == "lower the learning rate"


def test_a_checkpoint_that_was_removed_is_made_again_the_same(tmp_path: Path, calls: list[dict[str, Any]]) -> None:
    bench = sweep(tmp_path)
    chosen = bench.run([[trial()]])
    before = {name: value.clone() for name, value in bench.restore(chosen.trials[0]).state_dict().items()}
    (tmp_path / "checkpoints" / f"{chosen.trials[0].key}.safetensors").unlink()
    again = sweep(tmp_path).restore(chosen.trials[0]).state_dict()
    assert len(calls) == 2
    assert all(torch.equal(before[name], again[name]) for name in before)


def test_save_weights_keeps_the_weights_of_every_trial(tmp_path: Path) -> None:
    trials = [trial(lr=lr) for lr in (0.01, 0.02, 0.05)]
    sweep(tmp_path, keep=True).run([[each] for each in trials])
    assert checkpoints(tmp_path) == sorted(each.key for each in trials)


def test_a_model_without_training_is_judged_as_it_is(tmp_path: Path) -> None:
    model = find_model("MostPop")
    chosen = sweep(tmp_path).run([[Trial("MostPop", model, model.Params(), PROTOCOL, {}, STAGE)]])
    assert chosen.records[0]["epoch"] == 0
    assert 0 <= chosen.records[0]["validation"]["Recall@5"] <= 1


def test_without_validation_there_is_no_value_to_choose_by_and_the_first_is_taken(tmp_path: Path) -> None:
    blind = replace(trial(), stage=SimpleNamespace(data=DATA, validation=None, user_ids=[]))
    chosen = sweep(tmp_path).run([[blind]])
    assert chosen.records[0]["validation"] == {}
    assert chosen.records[0]["epoch"] == 3


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
                {"metrics": ("Recall", "nDCG")},
                {"cutoffs": (5, 10)},
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


def test_a_change_of_the_benchs_own_sources_changes_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    model = find_model("BPRMF")
    before = code_hash(model)
    assert code_hash(model) == before
    original = Path.read_bytes
    for name in ("bprmf.py", "losses.py", "loop.py", "ranking.py", "dataset.py", "samplers.py"):
        with monkeypatch.context() as patch:
            patch.setattr(Path, "read_bytes", lambda path, name=name: original(path) + b"#" * (path.name == name))
            assert code_hash(model) != before, name


def test_a_change_of_the_model_that_a_model_extends_changes_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "child.py").write_text("from external.models.bprmf import BPRMF\n\n\nclass Child(BPRMF):\n    pass\n")
    model = find_model("Child", tmp_path)
    before = code_hash(model)
    original = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: original(path) + b"#" * (path.name == "bprmf.py"))
    assert code_hash(model) != before


def test_a_trial_is_a_pure_function_whatever_ran_before(tmp_path: Path) -> None:
    alone = sweep(tmp_path / "alone").run([[trial(lr=0.05)]])
    after = sweep(tmp_path / "after").run([[trial(lr=0.2, seed=9)], [trial(lr=0.05)]])
    assert alone.records[0]["losses"] == after.configurations[1][0]["losses"]
    assert alone.records[0]["validation"] == after.configurations[1][0]["validation"]
