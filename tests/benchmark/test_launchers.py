"""The two launchers as a user starts them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from bench_cases import write_rows
from experiment_cases import QUICK, experiment, results
from support import ROOT, launch

LAUNCHERS = ["run_split.py", "run_experiment.py"]
WATCHED = """
import runpy, sys
sys.argv = [{script!r}, *{arguments!r}]
try:
    runpy.run_path({script!r}, run_name="__main__")
finally:
    print("LOADED", [name for name in ("torch", "transformers", "sklearn", "PIL") if name in sys.modules])
"""


def watched(script: str, *arguments: str, cwd: Path) -> tuple[str, int]:
    """Output of a launcher that also tells which heavy packages it loaded."""
    program = WATCHED.format(script=str(ROOT / script), arguments=list(arguments))
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", program], cwd=cwd, capture_output=True, text=True, env=environment)
    return done.stdout, done.returncode


@pytest.mark.parametrize("script", LAUNCHERS)
def test_help_answers_without_loading_anything_heavy(tmp_path: Path, script: str) -> None:
    output, status = watched(script, "--help", cwd=tmp_path)
    assert status == 0
    assert "Usage:" in output
    assert "LOADED []" in output
    assert list(tmp_path.iterdir()) == []


def test_splitting_never_loads_torch(shop: Path) -> None:
    output, status = watched("run_split.py", "--dataset", "shop", cwd=shop)
    assert status == 0
    assert "LOADED []" in output


def test_split_and_experiment_run_one_after_the_other(shop: Path) -> None:
    split = launch("run_split.py", "--dataset", "shop", cwd=shop)
    assert split.returncode == 0, split.stderr
    assert "| train " in split.stdout and "next: python run_experiment.py" in split.stderr
    path = experiment(shop, {"MostPop": None, "external.VBPR": {**QUICK, "lr": 0.05}})
    run = launch("run_experiment.py", str(path), cwd=shop)
    assert run.returncode == 0, run.stderr
    assert "| VBPR " in run.stdout
    assert "results/shop/x" in run.stderr
    assert list(results(shop / "results" / "shop" / "x")) == ["MostPop", "VBPR"]


def test_a_slip_of_the_user_is_one_message_and_status_2(shop: Path) -> None:
    wrong = experiment(shop, {"external.BPRMF": {"factor": 8}})
    (shop / "data" / "broken").mkdir()
    write_rows(shop / "data" / "broken" / "reviews.tsv", [("u", "a", 1), ("v", "b", "good")])
    cases = [
        (("run_experiment.py", str(wrong)), f"{wrong}:", "did you mean 'factors'?"),
        (("run_split.py", "--dataset", "shp"), "data/shp", "shop"),
        (("run_split.py", "--dataset", "broken"), "data/broken/reviews.tsv:2", "mend or remove the row"),
    ]
    for command, where, mend in cases:
        done = launch(*command, cwd=shop)
        assert done.returncode == 2, command
        assert where in done.stderr and mend in done.stderr
        assert done.stderr.count("->") == 1
        assert "Traceback" not in done.stderr and done.stdout == ""


@pytest.mark.parametrize("arguments", [("run_split.py",), ("run_experiment.py",), ("run_split.py", "a", "b")])
def test_a_wrong_command_line_is_answered_with_the_usage(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = launch(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "Usage:" in done.stderr and "Traceback" not in done.stderr
