"""One trial: a configuration of a model under one protocol on one split; its outcome is a pure function of these."""

from __future__ import annotations

import hashlib
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from weakref import WeakKeyDictionary

import torch

import benchmark
from benchmark.models.base import Params, Recommender
from benchmark.models.registry import model_file
from benchmark.search.running import Ground
from workbench.files import fingerprint


@dataclass(frozen=True)
class Protocol:
    """What weights, and the figure that chooses among them, depend on besides model and parameters.

    What else is measured is no part of it: other metrics and cutoffs judge the same weights.
    """

    data: str  # fingerprint of the split
    threshold: float
    monitor: str
    every: int
    device: str
    candidates: str  # which items are ranked: all that are not masked, or the hash of those that were drawn
    digits: int | None  # decimals that are left before anything is chosen; None keeps all
    judge: str  # the part that chooses; `test` in another system's protocol only


class Stage(typing.Protocol):
    """Where a trial runs: its ground, and the raw ids of the users."""

    @property
    def user_ids(self) -> Sequence[str]: ...

    @property
    def ground(self) -> Ground: ...


@dataclass(frozen=True)
class Trial:
    """A model class with one set of parameters under one protocol, on one split.

    Attributes
    ----------
    features : modality -> hash of its features.
    stage : where the trial runs; `protocol.data` and `features` say the same in hashes.
    """

    name: str
    model: type[Recommender]
    params: Params
    protocol: Protocol
    features: dict[str, str]
    stage: Stage = field(compare=False, repr=False)
    code: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "code", code_hash(self.model))

    @cached_property
    def key(self) -> str:
        """Hash of everything that the outcome depends on, the code included."""
        parts = [
            self.name,
            self.params.model_dump(mode="json"),
            vars(self.protocol),
            list(self.features.items()),  # in the order in which the model joins them
            self.code,
        ]
        return fingerprint(parts)

    def under_seed(self, seed: int) -> Trial:
        """The same trial with another seed."""
        return replace(self, params=self.params.model_copy(update={"seed": seed}))


_hashes: WeakKeyDictionary[type[Recommender], str] = WeakKeyDictionary()


def code_hash(model: type[Recommender]) -> str:
    """Hash of what decides a trial's outcome beside its settings: the bench's own sources, the version of torch, the
    model's file and those of the models that it extends; of a user's model, every Python file in and below its folder.

    Read once for each class, when the experiment is planned: what is edited later is not what runs.
    """
    if model not in _hashes:
        _hashes[model] = _read_code(model)
    return _hashes[model]


def _read_code(model: type[Recommender]) -> str:
    shipped = Path(str(benchmark.__file__)).parents[1]
    own: set[Path] = set()
    for each in model.__mro__:
        if issubclass(each, Recommender):
            path = model_file(each).resolve()
            own |= {path} if shipped in path.parents else set(_sources(path.parent))
    digest = hashlib.sha256(_bench_hash().encode())
    for source in sorted(own):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


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
    sources += [root / "measures.py", root / "experiment" / "judges.py", Path(__file__)]
    sources += [Path(__file__).with_name("running.py")]
    digest = hashlib.sha256(torch.__version__.encode())
    for source in sorted(sources):
        digest.update(source.read_bytes())
    return digest.hexdigest()
