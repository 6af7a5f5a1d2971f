"""Which sources a trial's key knows: an edit that may change figures changes it, another one does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmark.models.registry import find_model, shipped_folder
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


@pytest.mark.parametrize("name", ["sgl.py", "ease.py", "report.py", "opening.py"])
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
    "two_words.py": CHILD.format(name="TwoWords"),
    "modèle.py": CHILD.format(name="Modèle"),
    "other.py": CHILD.format(name="Other") + "\n# First, Second\n",
    "helper.py": "import mine.modèle\n\ninner = 'TwoWords'\n# Other, other\n",
    "parts/layers.py": "from external.models.light_gcn import LightGCN\n",
    "_unused.py": "x = 1\n",
}


def written(folder: Path, **more: str) -> Path:
    """`FOLDER` as the folder `mine`."""
    for name, source in {**FOLDER, **more}.items():
        (folder / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "mine" / name).write_text(source, encoding="utf-8")
    return folder / "mine"


@pytest.mark.parametrize(
    ("edited", "counts"),
    [
        ("first.py", True),
        ("helper.py", True),
        ("parts/layers.py", True),
        ("_unused.py", True),
        ("second.py", True),  # the model imports it
        ("modèle.py", True),  # a helper does
        ("two_words.py", True),  # a helper names its class
        ("other.py", False),
        ("sgl.py", False),
        ("light_gcn.py", True),  # of the shipped ones, which a helper imports
    ],
)
def test_of_a_users_folder_all_counts_but_other_models_that_nobody_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edited: str, counts: bool
) -> None:
    model = find_model("First", written(tmp_path))
    before = code_hash(model)
    edit(monkeypatch, Path(edited).name)
    assert (code_hash(model) != before) is counts


@pytest.mark.parametrize(
    "helper",
    [
        "from benchmark.models.registry import find_model as it\nit(kind)\n",
        "getattr(importlib, 'import_module')(x)\n",
        "exec(open(x).read())\n",
        "p.glob('*')\n",
        "def broken(:\n",
    ],
    ids=["looks for a model", "imports by name", "runs a text", "looks for files", "does not parse"],
)
def test_what_cannot_be_followed_names_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, helper: str) -> None:
    model = find_model("First", written(tmp_path, **{"helper.py": helper}))
    before = code_hash(model)
    edit(monkeypatch, "other.py")
    assert code_hash(model) != before


@pytest.mark.parametrize(
    ("helper", "counts"),
    [
        ("order = 'First,Other'.split(',')\n", True),
        ("path = f'{here}/other.py'\n", True),
        ("def f():\n    'Not as Other does it.'\n\n\nmodel.eval()\n", False),
    ],
    ids=["a list in a text", "a path", "prose"],
)
def test_texts_name_models_and_prose_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, helper: str, counts: bool
) -> None:
    model = find_model("First", written(tmp_path, **{"helper.py": helper}))
    before = code_hash(model)
    edit(monkeypatch, "other.py")
    assert (code_hash(model) != before) is counts


def test_of_a_linked_model_both_folders_count(tmp_path: Path) -> None:
    for name in ("mine", "real"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}_helper.py").write_text("x = 1\n")
    (tmp_path / "real" / "child.py").write_text(CHILD.format(name="Child"))
    (tmp_path / "mine" / "child.py").symlink_to(tmp_path / "real" / "child.py")
    model = find_model("Child", tmp_path / "mine")
    found = {path.name for path in code_module._files_of(model)}
    assert {"child.py", "mine_helper.py", "real_helper.py"} <= found


def test_a_new_file_beside_the_shipped_models_counts_where_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, named = find_model("BPRMF"), find_model("LightGCN")
    before = code_hash(plain), code_hash(named)
    original = code_module._sources
    new = shipped_folder() / "my_losses.py"
    monkeypatch.setattr(
        code_module, "_sources", lambda folder: [*original(folder), *([new] if folder == shipped_folder() else [])]
    )
    read = Path.read_bytes

    def reading(path: Path) -> bytes:
        if path == new:
            return b"x = 1\n"
        return read(path) + (b"\nfrom external.models import my_losses\n" if path.name == "light_gcn.py" else b"")

    forget_hashes()
    monkeypatch.setattr(Path, "read_bytes", reading)
    assert code_hash(plain) == before[0]
    assert code_module._files_of(named) > {new}
