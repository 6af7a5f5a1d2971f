"""The source code that decides what a trial gives."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from weakref import WeakKeyDictionary

import torch

import benchmark
from benchmark.models.base import Recommender
from benchmark.models.registry import folded, holds_a_model, model_file, shipped_folder

_SEARCHING = {
    *("find_model", "shipped_models", "import_module", "__import__", "spec_from_file_location", "SourceFileLoader"),
    *("run_path", "run_module", "resolve_name", "walk_packages", "iter_modules", "exec", "eval"),
    *("glob", "rglob", "iterdir", "listdir", "scandir", "walk"),
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
    given = {model_file(each) for each in model.__mro__ if issubclass(each, Recommender)}
    given = {path for path in given if bench not in path.resolve().parents}
    own = {path.resolve() for path in given}
    users = {path.parent.resolve() for path in given | own} - {shipped}  # of a link, both folders
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
    used: set[str] = set()
    named: set[str] = set()
    prose = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings among them
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            used.add(node.id)
        elif isinstance(node, ast.Attribute):
            used.update({node.attr} - {"eval"})  # that of a module of torch
        elif isinstance(node, ast.Import | ast.ImportFrom):
            named.update(alias.name for alias in node.names)
            named.add(getattr(node, "module", None) or "")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in prose:
            named.add(node.value)
    words = {word for text in named for word in re.findall(r"\w+", text)}
    return None if (used | words) & _SEARCHING else {folded(word) for word in words}


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
