"""Which sources a trial's key knows: an edit that may change figures changes it, another one does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmark.models.registry import find_model
from benchmark.search import code as code_module
from benchmark.search.code import code_hash

CHILD = "from external.models.bprmf import BPRMF\n\n\nclass {name}(BPRMF):\n    pass\n"


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    forget_hashes()
    yield
    forget_hashes()


def forget_hashes() -> None:
    """As a new process would."""
    code_module._bench_hash.cache_clear()
    code_module._hashes.clear()


def edit(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A file of this name has one more line."""
    original = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: original(path) + b"\n#" * (path.name == name))
    forget_hashes()


@pytest.mark.parametrize(
    "name", ["bprmf.py", "losses.py", "loop.py", "ranking.py", "dataset.py", "samplers.py", "running.py"]
)
def test_the_benchs_own_sources_count(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    model = find_model("BPRMF")
    before = code_hash(model)
    assert code_hash(model) == before
    edit(monkeypatch, name)
    assert code_hash(model) != before


@pytest.mark.parametrize("name", ["sgl.py", "report.py", "opening.py"])
def test_other_models_and_reports_do_not(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    model = find_model("BPRMF")
    before = code_hash(model)
    edit(monkeypatch, name)
    assert code_hash(model) == before


def test_the_model_that_a_model_extends_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "child.py").write_text(CHILD.format(name="Child"))
    model = find_model("Child", tmp_path)
    before = code_hash(model)
    edit(monkeypatch, "bprmf.py")
    assert code_hash(model) != before


FOLDER = {
    "first.py": CHILD.format(name="First") + "\n    def late(self):\n        from mine.second import half\n",
    "second.py": CHILD.format(name="Second"),
    "third.py": CHILD.format(name="Third"),
    "fourth.py": CHILD.format(name="Fourth"),
    "helper.py": "import importlib\n\nthird = importlib.import_module('mine.third')\n",
    "parts/layers.py": "x = 1\n",
    "broken.py": "class Broken(:\n",
}


@pytest.mark.parametrize(
    ("edited", "counts"),
    [
        ("first.py", True),
        ("helper.py", True),
        ("parts/layers.py", True),
        ("broken.py", True),
        ("second.py", True),  # the model's file names it
        ("third.py", True),  # a helper does
        ("fourth.py", False),
    ],
)
def test_of_a_users_folder_all_counts_but_other_models_that_nobody_names(
    tmp_path: Path, edited: str, counts: bool
) -> None:
    for name, source in FOLDER.items():
        (tmp_path / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / name).write_text(source)
    model = find_model("First", tmp_path / "mine")
    before = code_hash(model)
    with (tmp_path / "mine" / edited).open("a") as file:
        file.write("# edited\n")
    forget_hashes()
    assert (code_hash(model) != before) is counts
