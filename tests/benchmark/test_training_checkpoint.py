"""Training that was cut short goes on, bit for bit; a checkpoint that cannot be trusted is not gone on from."""

from __future__ import annotations

import random
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import training_cases
from bench_cases import training_data
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from training_cases import GRAPH, KILLED, Counter, judged, noisy, same_fit, same_tensors, train

from benchmark.models.base import Diverged, TrainedRecommender, TrainingParams
from benchmark.models.registry import find_model
from benchmark.training.checkpoint import Checkpoint
from benchmark.training.loop import Fit, Progress, fit
from workbench.errors import UserError
from workbench.runtime import seed_everything

STOPPING = {"patience": 2, "monitor": "nDCG@5", "min_delta": 0.01}
CASES: dict[str, dict[str, Any]] = {
    "adam": {},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.1, "clip_grad_norm": 0.2},
    "sgd": {"optimizer": "sgd"},
    "momentum": {"optimizer": "sgd", "momentum": 0.9, "lr_schedule": {"shape": "cosine", "warmup": 2}},
    "bf16": {"precision": "bf16"},
    "stopping": {"early_stopping": STOPPING, "lr_schedule": "(0.9,2)"},
    "loss": {"early_stopping": {"patience": 2, "monitor": "loss"}},
}


class Killed(BaseException):
    """Not caught by anything, as a kill is not."""


def kill_after(last: int) -> Any:
    """A report that ends everything once an epoch is over, before its checkpoint is written."""

    def tell(progress: Progress) -> None:
        if progress.epoch == last:
            raise Killed

    return tell


def cut_short(path: Path, after: int, saved: int, **case: Any) -> bool:
    """Train with a checkpoint and end it; whether it was cut short rather than over before."""
    try:
        train(checkpoint=Checkpoint(path, saved, "k"), tell=kill_after(after), **case)
    except Killed:
        return True
    return False


def silent(_: Progress) -> None:
    pass


@pytest.mark.parametrize("saved", [1, 3])
@pytest.mark.parametrize("name", CASES)
def test_after_a_kill_at_any_epoch_training_ends_as_if_there_had_been_none(
    name: str, saved: int, tmp_path: Path
) -> None:
    case = {"epochs": 9, "seed": 4, "every": 2, **CASES[name]}
    whole, model = train(checkpoint=None, tell=silent, **case)
    assert (whole.stopped is not None) == ("early_stopping" in case)
    for after in range(1, len(whole.losses) + 1):
        path = tmp_path / f"{after}.safetensors"
        assert cut_short(path, after, saved, **case)
        assert path.exists() == (after > saved)
        told: list[Progress] = []
        again, resumed = train(checkpoint=Checkpoint(path, saved, "k"), tell=told.append, **case)
        same_fit(again, whole)
        same_tensors(resumed.state_dict(), model.state_dict())
        assert told[0].epoch == (after - 1) // saved * saved + 1, "what the file holds is not trained again"


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(list(CASES)),
    epochs=st.integers(2, 12),
    every=st.integers(1, 4),
    seed=st.integers(0, 99),
    kills=st.lists(st.tuples(st.integers(1, 12), st.integers(1, 4)), min_size=1, max_size=4),
)
def test_after_any_number_of_kills(
    tmp_path: Path, name: str, epochs: int, every: int, seed: int, kills: list[tuple[int, int]]
) -> None:
    case = {"epochs": max(epochs, 3), "seed": seed, "every": every, **CASES[name]}
    path = tmp_path / "run.safetensors"
    path.unlink(missing_ok=True)
    whole, _ = train(checkpoint=None, tell=silent, **case)
    for after, saved in sorted(kills):
        if not cut_short(path, after, saved, **case):
            path.unlink(missing_ok=True)
    same_fit(train(checkpoint=Checkpoint(path, 1, "k"), tell=silent, **case)[0], whole)


@pytest.mark.parametrize("name", ["BPRMF", "VBPR"])
def test_the_shipped_models_keep_to_the_contract(name: str, tmp_path: Path) -> None:
    model_class = find_model(name)
    features = {"visual": np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)}
    params = model_class.Params(epochs=7, batch_size=3, lr=0.05, factors=3)  # type: ignore[call-arg]
    assert isinstance(params, TrainingParams)

    def run(checkpoint: Checkpoint | None, tell: Any) -> Fit:
        seed_everything(params.seed)
        model = model_class(params, training_data(GRAPH, 6, features))  # type: ignore[call-arg]
        assert isinstance(model, TrainedRecommender)
        return fit(model, params, None, "", 1, tell, checkpoint)  # type: ignore[arg-type]

    with pytest.raises(Killed):
        run(Checkpoint(tmp_path / "c", 2, "k"), kill_after(5))
    same_fit(run(Checkpoint(tmp_path / "c", 2, "k"), silent), run(None, silent))


def test_the_scaler_of_fp16_is_kept_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.training.loop.check_precision", lambda *_: None)
    case: dict[str, Any] = {"epochs": 6, "seed": 4, "every": 1, "precision": "fp16", "clip_grad_norm": 0.1}
    whole, _ = train(checkpoint=None, tell=silent, **case)
    assert cut_short(tmp_path / "c", 4, 1, **case)
    scales: list[Any] = []
    load = torch.amp.GradScaler.load_state_dict
    monkeypatch.setattr(
        torch.amp.GradScaler, "load_state_dict", lambda self, state: (scales.append(state), load(self, state))[1]
    )
    same_fit(train(checkpoint=Checkpoint(tmp_path / "c", 1, "k"), tell=silent, **case)[0], whole)
    assert scales[0]["_growth_tracker"] > 0


def test_a_process_that_is_killed_loses_nothing_that_was_written(tmp_path: Path, log: list[str]) -> None:
    path = tmp_path / "run.safetensors"
    child = subprocess.Popen(
        [sys.executable, training_cases.__file__, str(path)],
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": ":".join(sys.path), "PATH": ""},
        text=True,
    )
    assert child.stdout is not None
    for line in child.stdout:
        if int(line) >= 20 + random.randrange(3):
            child.send_signal(signal.SIGKILL)
            break
    assert child.wait() == -signal.SIGKILL
    told: list[int] = []
    again, _ = train(checkpoint=Checkpoint(path, 3, "a trial"), tell=lambda p: told.append(p.epoch), **KILLED)
    assert told[0] > 15
    assert log == [f"INFO {path}: training goes on after epoch {told[0] - 1}"]
    same_fit(again, train(checkpoint=None, tell=silent, **KILLED)[0])


# ---- files that cannot be trusted

CASE: dict[str, Any] = {"epochs": 4, "seed": 4, "every": 1}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Fit]:
    """A checkpoint after epoch 2, and what training comes to."""
    path = tmp_path_factory.mktemp("checkpoint") / "c"
    assert cut_short(path, 3, 1, **CASE)
    return path.read_bytes(), train(checkpoint=None, tell=silent, **CASE)[0]


def began_at(path: Path, expected: Fit, key: str = "k") -> int:
    """The first epoch that is trained with the file at hand; what comes of it is always the same."""
    told: list[int] = []
    result, _ = train(checkpoint=Checkpoint(path, 1, key), tell=lambda p: told.append(p.epoch), **CASE)
    same_fit(result, expected)
    return told[0]


def test_a_sound_file_is_gone_on_from_wherever_it_lies(written: tuple[bytes, Fit], tmp_path: Path) -> None:
    (tmp_path / "moved").write_bytes(written[0])
    assert began_at(tmp_path / "moved", written[1]) == 3


def test_without_a_file_training_starts_from_the_beginning_in_silence(
    written: tuple[bytes, Fit], tmp_path: Path, log: list[str]
) -> None:
    assert began_at(tmp_path / "new folder" / "c", written[1]) == 1
    assert log == []


def test_another_trials_file_is_not_gone_on_from(written: tuple[bytes, Fit], tmp_path: Path, log: list[str]) -> None:
    path = tmp_path / "c"
    path.write_bytes(written[0])
    assert began_at(path, written[1], key="other") == 1
    assert log == [
        f"WARNING {path}: the checkpoint is that of another trial; training starts from the beginning",
    ]


def test_a_model_of_another_shape_is_refused_even_under_the_same_key(
    written: tuple[bytes, Fit], tmp_path: Path, log: list[str]
) -> None:
    (tmp_path / "c").write_bytes(written[0])
    result = fit(Counter(), TrainingParams(epochs=3), None, "", 1, silent, Checkpoint(tmp_path / "c", 1, "k"))
    assert len(result.losses) == 3
    assert "other weights" in log[0]


@pytest.mark.parametrize("content", [b"", b"\x00" * 7, b"{}", b"\xff" * 100, b"PK\x03\x04 not a tensor", b"\x80\x04."])
def test_any_other_file_is_left_out_with_a_warning(
    content: bytes, written: tuple[bytes, Fit], tmp_path: Path, log: list[str]
) -> None:
    (tmp_path / "c").write_bytes(content)
    assert began_at(tmp_path / "c", written[1]) == 1
    assert log[0].startswith(f"WARNING {tmp_path / 'c'}: ")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_one_wrong_byte_or_a_missing_end_is_noticed(
    data: st.DataObject, written: tuple[bytes, Fit], tmp_path: Path
) -> None:
    content = bytearray(written[0])
    header = 8 + int.from_bytes(content[:8], "little")
    place = data.draw(st.integers(0, header - 1) | st.integers(header, len(content) - 1))
    if data.draw(st.booleans()):
        content[place] ^= data.draw(st.integers(1, 255))
    else:
        del content[place:]
    (tmp_path / "c").write_bytes(bytes(content))
    assert began_at(tmp_path / "c", written[1]) == 1


def test_a_full_disk_is_one_sentence_and_the_file_before_stays_whole(
    written: tuple[bytes, Fit], tmp_path: Path
) -> None:
    path = tmp_path / "c"
    path.write_bytes(written[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(progress: Progress) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, hard))

    try:
        with pytest.raises(UserError, match="cannot write") as caught:
            train(checkpoint=Checkpoint(path, 1, "k"), tell=fill, **{**CASE, "epochs": 5})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.where == str(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["c"]
    assert path.read_bytes() == written[0]


def test_it_is_written_every_so_many_epochs_and_not_when_training_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    monkeypatch.setattr(Checkpoint, "save", lambda _, run: written.append(run.epoch))
    train(checkpoint=Checkpoint(tmp_path / "c", 2, "k"), tell=silent, epochs=6, seed=1, every=1)
    assert written == [2, 4]


def test_what_a_kill_in_the_middle_of_writing_left_is_removed(written: tuple[bytes, Fit], tmp_path: Path) -> None:
    (tmp_path / "c").write_bytes(written[0])
    (tmp_path / ".c.0123abcd.tmp").write_bytes(written[0][:100])
    (tmp_path / ".d.0123abcd.tmp").write_bytes(b"another trial's")
    assert began_at(tmp_path / "c", written[1]) == 3
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".d.0123abcd.tmp", "c"]


def test_a_run_that_diverges_leaves_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(Diverged):
        fit(
            Counter({3: float("nan")}),
            TrainingParams(epochs=5),
            None,
            "",
            1,
            silent,
            Checkpoint(tmp_path / "c", 1, "k"),
        )
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_holds_no_pickle_and_is_read_by_safetensors_alone(written: tuple[bytes, Fit]) -> None:
    from safetensors.torch import load

    tensors = load(written[0])
    assert {name.partition(".")[0] for name in tensors} == {"weights", "optimiser", "random", "best", "per_user"}


def test_writing_down_changes_nothing(tmp_path: Path) -> None:
    plain, model = noisy(2), noisy(2)
    params = TrainingParams(epochs=6, batch_size=4, seed=2)
    one = fit(plain, params, judged(plain), "Recall@5", 1, silent)
    model = noisy(2)
    same_fit(fit(model, params, judged(model), "Recall@5", 1, silent, Checkpoint(tmp_path / "c", 1, "k")), one)
