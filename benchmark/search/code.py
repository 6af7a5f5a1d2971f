"""The source code that decides what a trial gives."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from weakref import WeakKeyDictionary

import torch

import benchmark
from benchmark.models.base import Recommender
from benchmark.models.registry import holds_a_model, model_file

_hashes: WeakKeyDictionary[type[Recommender], str] = WeakKeyDictionary()


def code_hash(model: type[Recommender]) -> str:
    """Hash of what decides a trial's outcome beside its settings: the bench's own sources, the version of torch, the
    model's file, those of the models that it extends, and what stands beside them.

    Beside them: every Python file in and below their folders, but files of other models that none of these names.

    Read once for each class, when the experiment is planned: what is edited later is not what runs.
    """
    if model not in _hashes:
        _hashes[model] = _read_code(model)
    return _hashes[model]


def _read_code(model: type[Recommender]) -> str:
    bench = Path(str(benchmark.__file__)).parent
    own = {model_file(each).resolve() for each in model.__mro__ if issubclass(each, Recommender)}
    for folder in {path.parent for path in own if bench not in path.parents}:
        own |= _beside(folder, own)
    digest = hashlib.sha256(_bench_hash().encode())
    for source in sorted(own):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _beside(folder: Path, models: set[Path]) -> set[Path]:
    """The Python files of a folder that may have a part in some of its models, whatever way they are imported."""
    files = set(_sources(folder))
    others = {path for path in files - models if path.parent == folder and holds_a_model(path)}
    found = new = files - others
    while new:
        words = {word for path in new for word in re.findall(rb"\w+", path.read_bytes())}
        new = {path for path in others - found if path.stem.encode() in words}
        found = found | new
    return found


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
