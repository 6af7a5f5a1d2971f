"""Tables, launchers' endings, and the choice of the device."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from workbench.console import progress, run_command, table
from workbench.errors import UserError
from workbench.runtime import peak_memory_mb, pick_device, seed_everything, usable_cores, versions


def cells(line: str) -> list[str]:
    return line.strip("|").split("|")


def test_a_table_puts_numbers_right_and_names_left() -> None:
    lines = table(("model", "Recall@20", "best"), [("Random", 0.1, "a"), ("BPR", 12.25, "long")], left=("best",))
    rows = [cells(line) for line in lines.splitlines() if line.startswith("|")]
    assert [cell.strip() for cell in rows[1]] == ["Random", "0.1", "a"]
    assert [cell.strip() for cell in rows[2]] == ["BPR", "12.25", "long"]
    model, recall, best = rows[2]
    assert model.startswith(" BPR ") and recall.endswith(" 12.25 ") and best.startswith(" long")
    assert rows[1][1].endswith(" 0.1 ") and rows[1][2].startswith(" a ")


def test_a_progress_bar_is_silent_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(3, "epochs", "epoch") as bar:
        bar.update(3)
    assert capsys.readouterr().err == ""


def test_an_error_of_the_user_ends_in_one_message_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    def body() -> None:
        raise UserError("no rating in this row", where="reviews.tsv:7", mend="complete the row {curly}")

    with pytest.raises(SystemExit) as stop:
        run_command(body)
    assert stop.value.code == 2
    shown = capsys.readouterr()
    assert shown.err.count("reviews.tsv:7: no rating in this row") == 1
    assert "-> complete the row {curly}" in shown.err
    assert "Traceback" not in shown.err + shown.out
    assert shown.out == ""


def test_ctrl_c_ends_in_one_message_and_status_130(capsys: pytest.CaptureFixture[str]) -> None:
    def body() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as stop:
        run_command(body)
    assert stop.value.code == 130
    assert "stopped by hand" in capsys.readouterr().err


def test_a_slip_of_ours_keeps_its_traceback() -> None:
    def body() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_command(body)


def test_gpu_minus_one_is_the_cpu_without_a_word(log: list[str]) -> None:
    assert pick_device(-1).type == "cpu"
    assert log == []


def test_a_gpu_that_is_not_there_gives_exactly_one_warning_and_the_cpu(
    log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device(0).type == "cpu"
    assert len(log) == 1
    assert log[0].startswith("WARNING gpu 0 was asked for")


def test_a_gpu_number_beyond_those_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert str(pick_device(1)) == "cuda:1"
    with pytest.raises(UserError, match=r"gpu 2 was asked for, but there are 2 \(0 to 1\)"):
        pick_device(2)


def test_the_share_of_a_container_counts(tmp_path: Path) -> None:
    whole = usable_cores(tmp_path)
    assert whole >= 1
    for share, cores in (("50000 100000\n", 1), ("100000 100000", 1), (f"{(whole + 1) * 1000} 1000", whole)):
        (tmp_path / "cpu.max").write_text(share)
        assert usable_cores(tmp_path) == cores
    for text in ("max 100000", "", "1", "1 0"):
        (tmp_path / "cpu.max").write_text(text)
        assert usable_cores(tmp_path) == whole


@pytest.mark.parametrize("seed", [0, 123, 2**32 + 5, -1])
def test_one_seed_drives_python_numpy_and_torch(seed: int) -> None:
    def draw() -> tuple[float, float, float]:
        seed_everything(seed)
        return random.random(), float(np.random.rand()), float(torch.rand(()))

    first = draw()
    assert draw() == first
    seed_everything(seed + 1)
    assert (random.random(), float(np.random.rand()), float(torch.rand(()))) != first


def test_versions_name_python_and_packages_and_say_which_is_absent() -> None:
    found = versions("numpy", "no-such-package-here")
    assert found["numpy"] == np.__version__
    assert found["no-such-package-here"] == "absent"
    assert set(found) == {"python", "numpy", "no-such-package-here"}


def test_peak_memory_is_in_megabytes_and_grows() -> None:
    before = peak_memory_mb()
    block = np.ones(200 * 2**20 // 8)
    assert block.sum() > 0
    after = peak_memory_mb()
    assert 50 < before <= after
    assert after >= 200
