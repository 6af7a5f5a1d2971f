"""`bottega data lists`: runs of Align-MacridVAE's program against its formulas in loops, and what is refused."""

from __future__ import annotations

import json
import math
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bench_cases import read_rows
from recom_cases import ITEMS, N_ITEMS, N_USERS, NAME, USERS, draw_folder, draw_parts, experiment_file, write_ids
from test_align_macridvae_protocol import average_precision, ndcg, recall
from torch import Tensor
from typer.testing import CliRunner

from benchmark.experiment import run_experiment
from bottega.cli import app
from bottega.data import macrid_lists
from workbench.errors import UserError

K, D, H = 3, 4, 6
DATA = Path("RecomData") / NAME
OUT = Path("lists/theirs.tsv")
State = dict[str, Tensor]


@pytest.fixture(autouse=True)
def _data(place: Path) -> None:
    draw_folder(place / DATA)


def info(model: str = "AlignMacridVAE", data: str = NAME, tau: str = "0.1", kfac: int = K) -> str:
    return f"{data}-{model}-50E-100B-0.001L-1e-05W-0.5D-0.2b-{kfac}k-{D}d-{tau}t-98765s"


def draw_state(n_parts: int = 2, n_items: int = N_ITEMS) -> State:
    rng = np.random.default_rng(n_parts)
    rows = n_parts * n_items
    shapes = {
        "items": (rows, D),
        "cores": (K, D),
        "encoder.0.weight": (H, rows),
        "encoder.0.bias": (H,),
        "encoder.2.weight": (2 * D, H),
        "encoder.2.bias": (2 * D,),
    }
    return {key: torch.from_numpy(rng.standard_normal(shape).astype(np.float32)) for key, shape in shapes.items()}


def write_run(state: Any, name: str) -> Path:
    folder = Path("run") / name
    folder.mkdir(parents=True)
    torch.save(state, folder / "model.pkl")
    return folder


def list_run(run: Path, *options: str, data: Path = DATA, out: Path = OUT) -> None:
    """The command; an error of the user is raised."""
    words = ["data", "lists", str(run), "--data", str(data), "--out", str(out), *options]
    result = CliRunner().invoke(app, words)
    if result.exception is not None:
        raise result.exception


def make_lists(run: Path, *options: str, data: Path = DATA, out: Path = OUT) -> dict[int, dict[int, float]]:
    """User -> item -> score in the order of the lines."""
    list_run(run, *options, data=data, out=out)
    lists: dict[int, dict[int, float]] = {}
    for user, item, score in read_rows(out):
        lists.setdefault(USERS.index(user), {})[ITEMS.index(item)] = float(score)
    return lists


def refused(run: Path, *options: str, data: Path = DATA) -> UserError:
    with pytest.raises(UserError) as caught:
        make_lists(run, *options, data=data)
    assert not OUT.parent.exists() or not list(OUT.parent.iterdir()), "nothing is left behind"
    assert caught.value.mend != ""
    return caught.value


def items_of(part: str) -> list[set[int]]:
    return [{item for owner, item in draw_parts()[part] if owner == user} for user in range(N_USERS)]


def literal_scores(state: State, tau: float, shown: set[int]) -> list[float]:
    """Of all items for a user with the items `shown`: Avas et al. (one part: Ma et al.) in evaluation, in loops."""
    weights = {key: value.double().numpy() for key, value in state.items()}
    n_rows, n_parts = len(weights["items"]), len(weights["items"]) // N_ITEMS
    h = [row / math.sqrt(row @ row) for row in weights["items"]]
    m = [row / math.sqrt(row @ row) for row in weights["cores"]]
    x = [1.0 if row % N_ITEMS in shown else 0.0 for row in range(n_rows)]
    c = np.exp([[h[i] @ m[k] / tau for k in range(K)] for i in range(n_rows)])
    c /= c.sum(axis=1, keepdims=True)
    mixed = np.zeros(n_rows)
    for k in range(K):
        masked = np.array([x[i] * c[i, k] for i in range(n_rows)])
        hidden = np.tanh(weights["encoder.0.weight"] @ masked + weights["encoder.0.bias"])
        mean = (weights["encoder.2.weight"] @ hidden + weights["encoder.2.bias"])[:D]
        z = mean / math.sqrt(mean @ mean)
        for i in range(n_rows):
            mixed[i] += c[i, k] * math.exp(z @ h[i] / tau)
    log_p = np.log(mixed / mixed.sum())
    return [sum(log_p[part * N_ITEMS + i] for part in range(n_parts)) / n_parts for i in range(N_ITEMS)]


def literal_lists(state: State, tau: float = 0.1) -> list[list[int]]:
    """Item numbers of every user, best first, without training items."""
    lists = []
    for shown in items_of("train"):
        scores = literal_scores(state, tau, shown)
        lists.append([item for item in np.argsort(-np.array(scores)).tolist() if item not in shown])
    return lists


# --- what is recommended


@pytest.mark.parametrize(("model", "n_parts"), [("MacridVAE", 1), ("SEMMacridVAE", 1), ("AlignMacridVAE", 2)])
@pytest.mark.parametrize("tau", ["0.1", "0.5"])
def test_scores_and_order_are_those_of_the_formulas(model: str, n_parts: int, tau: str) -> None:
    """A pair that stands twice in train.txt is shown once."""
    state = draw_state(n_parts)
    found = make_lists(write_run(state, info(model, tau=tau)))
    assert list(found) == list(range(N_USERS))
    expected = literal_lists(state, float(tau))
    for user, shown in enumerate(items_of("train")):
        scores = literal_scores(state, float(tau), shown)
        assert list(found[user]) == expected[user]
        assert list(found[user].values()) == pytest.approx([scores[item] for item in found[user]], abs=1e-5)


def test_lists_are_cut_and_made_some_users_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, top_k = [], macrid_lists.top_k

    def watched(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
        sizes.append(len(scores))
        return top_k(scores, k)

    monkeypatch.setattr(macrid_lists, "top_k", watched)
    monkeypatch.setattr(macrid_lists, "BLOCK_BYTES", 4 * N_ITEMS * 3)
    state = draw_state()
    found = make_lists(write_run(state, info()), "--top", "4")
    assert [list(items) for items in found.values()] == [items[:4] for items in literal_lists(state)]
    assert sizes == [3, 3, 3, 3, 2]


def test_a_user_without_training_rows_has_a_list(place: Path) -> None:
    write_ids(place / DATA / "users.txt", ",0", [*USERS, "new"])
    list_run(write_run(draw_state(), info()))
    found = [ITEMS.index(item) for user, item, _ in read_rows(OUT) if user == "new"]
    scores = literal_scores(draw_state(), 0.1, set())
    assert found == np.argsort(-np.array(scores)).tolist()


def test_a_run_is_a_row_with_its_own_figures(place: Path) -> None:
    state = draw_state()
    make_lists(write_run(state, info()))
    longest = max(map(len, items_of("test")))  # where MAP_trec is the published program's MAP
    metrics = {"nDCG_binary": ndcg, "Recall_min": recall, "MAP_trec": average_precision}
    cutoffs = sorted({longest, 5, 20, 100})
    evaluation = {"legacy": "align_macridvae", "cutoffs": cutoffs, "simple_metrics": ["NDCG", "Recall", "MAP_trec"]}
    models = {"MostPop": None, "RecommendationFolder": {"folder": "../lists"}}
    folder = run_experiment(experiment_file(place, models, evaluation=evaluation))
    row = json.loads((folder / "results.json").read_text())["models"][1]
    assert row["row"] == "theirs"
    test, lists = items_of("test"), literal_lists(state)
    judged = [(lists[user], dict.fromkeys(test[user], 1.0)) for user in range(N_USERS) if test[user]]
    for k in cutoffs:
        for name, formula in metrics.items():
            expected = np.mean([formula(order, labels, k) for order, labels in judged])
            assert row["test"][f"{name}@{k}"] == pytest.approx(expected, rel=1e-12)


# --- what the folder's name tells


def test_tau_may_be_told() -> None:
    told, named = write_run(draw_state(), "best"), write_run(draw_state(), info(tau="0.123457"))
    assert "does not tell tau" in refused(told).what
    assert "--tau 0.2, and 0.123457 by the folder's name" in refused(named, "--tau", "0.2").what
    found = make_lists(named, "--tau", "0.123456789")  # whose last digits the name has lost
    assert make_lists(told, "--tau", "0.123456789", out=Path("lists/told.tsv")) == found
    assert make_lists(named, out=Path("lists/rounded.tsv")) != found


def test_any_variant_of_the_data_will_do(place: Path) -> None:
    run = write_run(draw_state(), info(data="Toys-vit_bert", tau="1e-01"))
    draw_folder(place / "RecomData/Toys-none_none")
    assert make_lists(run, data=Path("RecomData/Toys-none_none"))
    draw_folder(place / "RecomData/Baby-clip_clip")
    OUT.unlink()
    assert "trained on 'Toys-vit_bert'" in refused(run, data=Path("RecomData/Baby-clip_clip")).what


@pytest.mark.parametrize("tau", ["0", "-0.1", "nan", "inf"])
def test_a_tau_that_makes_no_sense_is_refused(tau: str) -> None:
    error = refused(write_run(draw_state(), "best"), f"--tau={tau}")
    assert error.what == f"tau is {float(tau):g}"


def test_scores_that_are_no_numbers_are_refused() -> None:
    assert "not numbers, with tau = 1e-40" in refused(write_run(draw_state(), "best"), "--tau", "1e-40").what


# --- weights that make no sense

SPOILT: dict[str, tuple[Callable[[State], Any], str]] = {
    "no dict": (lambda state: [1.0], "no state dict"),
    "MultiVAE": (lambda state: {"decoder.0.weight": state["cores"]}, "no `items`"),
    "no bias": (lambda state: {key: state[key] for key in state if key != "encoder.2.bias"}, "no `encoder.2.bias`"),
    "more": (lambda state: {**state, "adapter": state["cores"]}, "a 'adapter' of unknown meaning"),
    "no tensor": (lambda state: {**state, "cores": [[1.0] * D] * K}, "`cores` is no tensor"),
    "double": (lambda state: {**state, "cores": state["cores"].double()}, "`cores` is no tensor of float32"),
    "sparse": (lambda state: {**state, "cores": state["cores"].to_sparse()}, "`cores` is no tensor"),
    "forged": (
        lambda state: {**state, "encoder.0.bias": torch.ones(1).expand(2**40)},
        "`encoder.0.bias` is no tensor of float32 numbers",
    ),
    "flat": (lambda state: {**state, "cores": state["cores"].flatten()}, "(12,), where 2 dimensions are expected"),
    "empty": (lambda state: {**state, "cores": state["cores"][:0]}, "`cores` has the shape (0, 4)"),
    "rows": (lambda state: {**state, "items": state["items"][1:]}, "(47, 4), where 48 rows go with the 24 items"),
    "one part": (lambda state: draw_state(1), "(24, 4), where 48 rows go with the 24 items"),
    "d": (lambda state: {**state, "cores": state["cores"][:, 1:]}, "(3, 3), where (3, 4) goes with the others"),
    "H": (lambda state: {**state, "encoder.0.weight": state["encoder.0.weight"][1:]}, "(5, 48), where (6, 48)"),
    "K": (lambda state: {**state, "cores": state["cores"][1:]}, "K is 2 and d is 4, and the folder's name says 3"),
    "codes": (lambda state: {**state, "encoder.2.bias": state["encoder.2.bias"][:D]}, "(4,), where (8,)"),
    "NaN": (lambda state: {**state, "cores": state["cores"] * torch.nan}, "`cores` holds NaN or infinity"),
    "infinite": (lambda state: {**state, "items": state["items"] / 0}, "`items` holds NaN or infinity"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Validating sparse tensor")
@pytest.mark.parametrize("kind", SPOILT)
def test_weights_that_do_not_fit_are_refused(kind: str) -> None:
    spoil, what = SPOILT[kind]
    run = write_run(spoil(draw_state()), info())
    error = refused(run)
    assert what in error.what and error.where == str(run / "model.pkl")


def test_weights_of_other_data_are_refused() -> None:
    other = write_run(draw_state(n_items=N_ITEMS + 1), "best")
    assert "(50, 4), where 24 or 48 rows go with the 24 items" in refused(other, "--tau", "0.1").what


class Hostile:
    """What makes a folder when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("harm",)


@pytest.mark.parametrize("form", ["archive", "bare"])
def test_code_in_a_file_is_not_run(form: str) -> None:
    run = write_run({**draw_state(), "cores": Hostile()}, info())
    if form == "bare":
        (run / "model.pkl").write_bytes(pickle.dumps(Hostile(), protocol=2))
    error = refused(run)
    assert "nothing of it was run" in error.what and error.where == str(run / "model.pkl")
    assert "weights_only" not in error.render()
    assert not Path("harm").exists()


def test_a_file_that_is_cut_off_or_not_there_is_refused() -> None:
    run = write_run(draw_state(), info())
    content = (run / "model.pkl").read_bytes()
    for part in (content[: len(content) // 2], b"no weights", b""):
        (run / "model.pkl").write_bytes(part)
        assert "not read" in refused(run).what
    (run / "model.pkl").unlink()
    assert refused(run).what == "no such file"


# --- where the lists go


def test_what_is_there_stays(place: Path) -> None:
    run = write_run(draw_state(), info())
    OUT.parent.mkdir()
    OUT.write_text("mine")
    with pytest.raises(UserError, match="there is something already"):
        make_lists(run)
    with pytest.raises(UserError, match=r"read from \.tsv files"):
        make_lists(run, out=Path("lists/theirs.txt"))
    assert OUT.read_text() == "mine" and len(list(OUT.parent.iterdir())) == 1


def test_an_id_that_no_list_can_hold_is_refused(place: Path) -> None:
    write_ids(place / DATA / "items.txt", ",item_id", [*ITEMS[:-1], "un\tseen"])
    assert "holds a tab or a line end" in refused(write_run(draw_state(), info())).what
