from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from extractor.run import main, parse_arguments
from workbench.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


def test_both_forms_of_an_option_and_negative_values() -> None:
    given = parse_arguments(["--config=x.yml", "--a.b=c=d", "--gpu_list", "-1", "--weights-root", "w"])
    assert (given.config, given.weights_root) == ("x.yml", "w")
    assert given.overrides == [("a.b", "c=d"), ("gpu_list", "-1")]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["x.yml"], "'x.yml' is no option"),
        (["--gpu_list", "0"], "no configuration was given"),
        (["--config", "x.yml", "--gpu_list"], "`--gpu_list` has no value"),
        (["--config", "--gpu_list", "0"], "`--config` has no value"),
    ],
)
def test_a_faulty_command_line_is_explained(words: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_arguments(words)


def test_an_error_is_one_message_and_status_2(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--config", str(tmp_path / "none.yml")])
    assert stop.value.code == 2


def test_help_as_a_script_loads_no_torch() -> None:
    script = (
        "import runpy, sys; sys.argv = ['extractor/run.py', '--help'];"
        f"runpy.run_path({str(ROOT / 'extractor' / 'run.py')!r}, run_name='__main__');"
        "heavy = {'torch', 'transformers', 'sentence_transformers', 'sklearn', 'skimage'} & set(sys.modules);"
        "assert not heavy, heavy; assert sys.path[0] == " + repr(str(ROOT))
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd="/", check=False)
    assert done.returncode == 0, done.stderr
    assert "--weights-root" in done.stdout
