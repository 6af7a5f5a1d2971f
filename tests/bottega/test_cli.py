"""The command line: what each verb hands on, how it answers slips, and that help loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from loguru import logger
from support import ROOT
from typer.testing import CliRunner

from bottega import completion, verbs
from bottega.cli import app
from workbench.errors import UserError

HEAVY = ("torch", "transformers", "sklearn", "pandas", "numpy", "ray", "optuna", "plotly", "wandb", "mlflow")


@pytest.fixture(autouse=True)
def sinks() -> Iterator[None]:
    """`run_command` sets up logging anew; the tests that follow want it as it was."""
    yield
    logger.remove()
    logger.add(sys.stderr)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[Any, ...]]:
    """What reaches the functions behind the verbs, in a folder with two experiment files."""
    made: list[tuple[Any, ...]] = []

    def stand_in(name: str, **functions: Any) -> None:
        module = ModuleType(name)
        for key, value in functions.items():
            setattr(module, key, value)
        monkeypatch.setitem(sys.modules, name, module)

    class Checked:
        def __init__(self, *given: Any) -> None:
            self.given = given

        def run(self, retry: bool) -> Path:
            made.append(("run", *self.given, retry))
            return Path("results/shop") / Path(self.given[0]).stem

        def show_plan(self) -> None:
            made.append(("plan", *self.given))

    class Prepared:
        folder = Path("data/shop")

    def prepare(*given: Any) -> Prepared:
        made.append(("split", *given))
        return Prepared()

    def check_experiment(path: str, overrides: Any) -> Checked:
        if "typo" in Path(path).read_text():
            raise UserError("unknown model", where=f"{path}, {overrides}")
        return Checked(path, overrides)

    stand_in("benchmark.experiment", check_experiment=check_experiment)
    stand_in("benchmark.prepare", prepare=prepare)
    stand_in(
        "extractor.extraction",
        run_extraction=lambda *given, show: made.append(("extract", *given)),
        show_plan=lambda *given: made.append(("extraction plan", *given)),
    )
    for name in ("a", "b"):
        (tmp_path / f"{name}.yml").write_text("experiment: {dataset: shop}\n")
    monkeypatch.chdir(tmp_path)
    return made


def done(*words: str) -> tuple[int, str]:
    """Exit status and output of a command line."""
    result = CliRunner().invoke(app, list(words))
    if isinstance(result.exception, UserError):
        raise result.exception
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


@pytest.mark.parametrize("words", [["a.yml"], ["--config", "a.yml"], ["--config=a.yml"]])
def test_the_extractor_gets_its_file_and_the_keys_in_every_spelling(
    calls: list[tuple[Any, ...]], words: list[str]
) -> None:
    keys = ["--gpu_list", "-1", "--visual.items.model.0.batch_size=64", "--set", "overwrite=true", "--lr", "-1e-3"]
    for line in (words + keys, keys + words):
        calls.clear()
        assert done("extract", *line)[0] == 0
        ((_, config, overrides, root, shard),) = calls
        assert (config, root, shard) == ("a.yml", None, None)
        assert sorted(overrides) == [
            ("gpu_list", "-1"), ("lr", "-1e-3"), ("overwrite", "true"), ("visual.items.model.0.batch_size", "64"),
        ]  # fmt: skip


def test_both_faces_of_the_extractor_hand_on_the_same(calls: list[tuple[Any, ...]]) -> None:
    from extractor.run import main

    line = ["--config", "a.yml", "--weights-root", "w", "--a.b", "1", "--set", "c.d=2=3", "--plan"]
    main(line)
    done("extract", *line)
    assert [call[0] for call in calls] == ["extraction plan"] * 2
    (_, config, overrides, root), other = calls
    assert (config, sorted(overrides), root) == ("a.yml", [("a.b", "1"), ("c.d", "2=3")], "w")
    assert (other[1], sorted(other[2]), other[3]) == (config, sorted(overrides), root)


def test_a_share_is_a_share_and_has_no_plan(calls: list[tuple[Any, ...]]) -> None:
    done("extract", "a.yml", "--shard", "2/4")
    assert str(calls[0][4]) != "None"
    with pytest.raises(UserError, match="a share of it"):
        done("extract", "a.yml", "--shard", "2/4", "--plan")
    with pytest.raises(UserError, match="has no value"):
        done("extract", "a.yml", "--gpu_list")
    with pytest.raises(UserError, match="sets nothing"):
        done("extract", "a.yml", "--set", "gpu_list")


def test_a_split_takes_its_data_set_alone_or_as_the_launcher_does(calls: list[tuple[Any, ...]]) -> None:
    done("split", "shop")
    done("split", "--dataset", "shop", "--config", "c.yml")
    assert calls == [("split", "shop", None), ("split", "shop", "c.yml")]


def test_run_hands_on_overrides_and_goes_through_its_files_in_order(calls: list[tuple[Any, ...]]) -> None:
    done(
        "run",
        "b.yml",
        "a.yml",
        "--set",
        "models.external.VBPR.lr=[1e-3, 1e-2]",
        "--set=top_k=5",
        "--gpu",
        "-1",
        "--retry",
    )
    overrides = [("models.external.VBPR.lr", "[1e-3, 1e-2]"), ("top_k", "5"), ("gpu", "-1")]
    assert calls == [("run", "b.yml", overrides, True), ("run", "a.yml", overrides, True)]
    calls.clear()
    done("run", "a.yml", "--plan")
    assert calls == [("plan", "a.yml", [])]


def test_a_mistake_in_any_file_stops_before_the_first_one_runs(calls: list[tuple[Any, ...]]) -> None:
    Path("b.yml").write_text("models: {typo: 1}\n")
    for words in ([], ["--plan"]):
        with pytest.raises(UserError, match=r"b\.yml.*gpu.*unknown model"):
            done("run", "a.yml", "b.yml", "--gpu", "-1", *words)
    assert calls == []


def test_the_demo_says_at_once_where_it_cannot_run(
    calls: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from bottega.demo import __main__ as tour

    monkeypatch.setattr(tour, "main", lambda: calls.append(("demo",)))
    with pytest.raises(UserError, match="no such configuration file"):
        done("demo")
    assert calls == []
    (tmp_path / "config_files").mkdir()
    for name in ("extract_demo.yml", "demo.yml"):
        (tmp_path / "config_files" / name).write_text("a: 1\n")
    assert done("demo")[0] == 0
    assert calls == [("demo",)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["extract"], "FILE is missing"),
        (["extract", "a.yml", "b.yml"], "one FILE at a time"),
        (["extract", "a.yml", "--config", "b.yml"], "given twice"),
        (["split"], "DATASET is missing"),
        (["split", "shop", "--dataset", "shop"], "given twice"),
        (["run"], "Missing argument"),
        (["run", "a.yml", "--plan", "--retry"], "leave out --retry"),
        (["run", "a.yml", "--gpu", "first"], "--gpu"),
        (["run", "a.yml", "--pln"], "--plan"),
        (["rn", "a.yml"], "'run'"),
        (["dcotor"], "'doctor'"),
        (["runs", "compre"], "'compare'"),
    ],
)
def test_a_wrong_command_line_is_answered_with_status_2_and_what_was_meant(
    calls: list[tuple[Any, ...]], words: list[str], said: str
) -> None:
    status, output = done(*words)
    assert status == 2
    assert said in output and "Usage:" in output
    assert calls == []


def test_help_groups_the_verbs_by_the_journey() -> None:
    output = done("--help")[1]
    places = [output.index(f" {panel} ─") for panel in ("Begin", "1. Extract", "2. Split", "3. Run", "4. Look")]
    assert places == sorted(places)
    assert done()[1].strip() == output.strip(), "no arguments: the same"
    for verb in ("demo", "doctor", "amazon", "data", "extract", "features", "split", "run", "report", "runs"):
        assert f"│ {verb} " in output
        assert done(verb, "--help")[0] == 0


def test_help_of_every_verb_loads_nothing_heavy() -> None:
    code = f"""
import contextlib, io, sys
from bottega.cli import app
for words in ([], *([verb] for verb in "demo doctor amazon extract split run report runs data features".split())):
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
        app([*words, "--help"])
print(sorted(set({HEAVY!r}) & set(sys.modules)))
"""
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert loaded.stdout == "[]\n"


def test_ctrl_c_is_one_message_and_status_130(
    calls: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch, log: list[str]
) -> None:
    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["benchmark.experiment"], "check_experiment", stopped)
    status, _ = done("run", "a.yml")
    assert status == 130
    assert len(log) == 1 and "the same command goes on from there" in log[0]


def test_a_package_that_is_missing_is_named_with_the_remedy(
    calls: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: Any) -> None:
        raise ModuleNotFoundError("No module named 'optuna.samplers'", name="optuna.samplers")

    monkeypatch.setattr(sys.modules["benchmark.experiment"], "check_experiment", missing)
    with pytest.raises(UserError, match="the package optuna is not installed") as caught:
        done("run", "a.yml")
    assert "bottega doctor" in str(caught.value.mend)


def test_a_module_of_ours_that_is_missing_is_no_mistake_of_the_user() -> None:
    def missing() -> None:
        raise ModuleNotFoundError("No module named 'benchmark.nothing'", name="benchmark.nothing")

    with pytest.raises(ModuleNotFoundError):
        verbs._answered(missing)


def test_as_a_program_a_slip_is_one_message_and_status_2(tmp_path: Path) -> None:
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    for words in (["-m", "bottega", "run"], [str(ROOT / "run_experiment.py")]):
        command = [sys.executable, *words, "none.yml"]
        answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, check=False)
        assert answer.returncode == 2
        assert "none.yml: no such configuration file" in answer.stderr and answer.stderr.count("->") == 1
        assert "Traceback" not in answer.stderr and answer.stdout == ""


@pytest.mark.parametrize("script", ["run_split.py", "run_experiment.py"])
def test_a_launcher_names_itself_and_loads_nothing_heavy_for_its_help(tmp_path: Path, script: str) -> None:
    code = f"""
import runpy, sys
sys.argv = [{script!r}, "--help"]
try:
    runpy.run_path({str(ROOT / script)!r}, run_name="__main__")
finally:
    print("LOADED", sorted(set({HEAVY!r}) & set(sys.modules)))
"""
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", code]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, check=False)
    assert answer.returncode == 0, answer.stderr
    assert f"Usage: python {script} [OPTIONS]" in answer.stdout and "LOADED []" in answer.stdout


def test_the_shell_is_offered_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert completion.runs("") == completion.datasets("") == completion.configs("") == completion.configs("no/x") == []
    for path in ("results/shop/first/journal.jsonl", "results/shop/second/results.json", "data/shop/reviews.tsv"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).touch()
    (tmp_path / "results/shop/neither").mkdir()
    (tmp_path / "config_files" / "old").mkdir(parents=True)
    for name in ("shop.yml", "shop.yaml", "shop.txt", ".shop.yml"):
        (tmp_path / "config_files" / name).touch()
    assert completion.runs("shop/") == ["shop/first", "shop/second"]
    assert completion.runs("shop/s") == ["shop/second"]
    assert completion.datasets("s") == ["shop"]
    assert completion.configs("") == ["config_files/shop.yaml", "config_files/shop.yml", "config_files/old/"]
    assert completion.configs("config_files/shop.ym") == ["config_files/shop.yml"]
    assert completion.configs("conf") == ["config_files/"]
    assert completion.configs(f"{tmp_path}/config_files/o") == [f"{tmp_path}/config_files/old/"]
    asked = {"_BOTTEGA_COMPLETE": "complete_bash", "COMP_WORDS": "bottega runs show shop/f", "COMP_CWORD": "3"}
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", **asked}
    program = [sys.executable, "-c", "from bottega.cli import main; main()"]
    answer = subprocess.run(program, capture_output=True, text=True, env=environment, check=False, cwd=tmp_path)
    assert answer.stdout.split() == ["shop/first"]
