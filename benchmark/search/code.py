"""The source code that decides what a trial gives."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from weakref import WeakKeyDictionary

import torch

import benchmark
from benchmark.models.base import Recommender
from benchmark.models.registry import folded, holds_a_model, model_file, shipped_folder

_SEARCHING = {
    *("find_model", "import_module", "__import__", "spec_from_file_location", "run_path"),
    *("glob", "rglob", "iterdir", "listdir", "scandir", "walk_packages", "iter_modules"),
}

_hashes: WeakKeyDictionary[type[Recommender], str] = WeakKeyDictionary()


def code_hash(model: type[Recommender]) -> str:
    """Hash of what decides a trial's outcome beside its settings: the bench's own sources, the version of torch, and
    the files of the model.

    These are its own, those of the models that it extends, what stands beside them in a folder of the user's and is no
    other model, and every file of these folders and of the shipped models that one of them names: in an import, or as
    a text such as "ItemKNN". One that cannot be read, or looks for files by itself (`find_model`, `glob`), names all.

    Read once for each class, when the experiment is planned: what is edited later is not what runs.
    """
    if model not in _hashes:
        digest = hashlib.sha256(_bench_hash().encode())
        for source in sorted(_files_of(model)):
            digest.update(source.read_bytes())
        _hashes[model] = digest.hexdigest()[:16]
    return _hashes[model]


def _files_of(model: type[Recommender]) -> set[Path]:
    bench, shipped = Path(str(benchmark.__file__)).parent, shipped_folder()
    own = {model_file(each).resolve() for each in model.__mro__ if issubclass(each, Recommender)}
    own = {path for path in own if bench not in path.parents}
    users = {path.parent for path in own} - {shipped}
    beside = {path for folder in users for path in _sources(folder)}
    others = (beside | set(_sources(shipped))) - own
    found: set[Path] = set()
    new = own | {path for path in beside - own if not holds_a_model(path)}
    while new:
        found |= new
        named = [_names(path) for path in new]
        if None in named:
            return found | others
        words = {word for each in named if each is not None for word in each}
        new = {path for path in others - found if folded(_module(path)) in words}
    return found


def _names(path: Path) -> set[str] | None:
    """What a file may be naming, folded: the words of its imports, and texts that could be names; None: anything."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return None
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            if (node.id if isinstance(node, ast.Name) else node.attr) in _SEARCHING:
                return None
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names.update(alias.name for alias in node.names)
            names.add(getattr(node, "module", None) or "")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names.add(node.value)
    return {folded(word) for name in names for word in name.split(".") if word.isidentifier()}


def _module(path: Path) -> str:
    return path.parent.name if path.name == "__init__.py" else path.stem


def _sources(folder: Path) -> Iterator[Path]:
    """The Python files in and below a folder, hidden folders left out."""
    for path in folder.iterdir():
        if path.is_dir() and not path.name.startswith((".", "__")):
            yield from _sources(path)
        elif path.suffix == ".py" and path.is_file():
            yield path


@cache
def _bench_hash() -> str:
    """Hash of the sources of data, models, training, judging and running, and of the version of torch."""
    root = Path(str(benchmark.__file__)).parent
    sources = [path for part in ("data", "models", "training", "evaluation") for path in (root / part).rglob("*.py")]
    sources += [root / "measures.py", root / "experiment" / "judges.py", root / "search" / "running.py"]
    digest = hashlib.sha256(torch.__version__.encode())
    for source in sorted(sources):
        digest.update(source.read_bytes())
    return digest.hexdigest()
