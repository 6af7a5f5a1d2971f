"""One trial: a configuration of a model under one protocol on one split; its weights are a pure function of these."""

from __future__ import annotations

import typing
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from benchmark.models.base import Params, Recommender
from benchmark.search.code import code_hash
from benchmark.search.running import Ground
from workbench.files import fingerprint


@dataclass(frozen=True)
class Protocol:
    """What weights, and the figure that chooses among them, depend on besides model and parameters.

    What else is measured is no part of it (`Trial.measured`): other metrics and cutoffs judge the same weights.
    """

    data: str  # fingerprint of the split
    threshold: float
    monitor: str  # empty where nothing chooses
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
    measured : hash of the metrics and cutoffs of its figures on validation; no part of the key.
    stage : where the trial runs; `protocol.data` and `features` say the same in hashes.
    """

    name: str
    model: type[Recommender]
    params: Params
    protocol: Protocol
    features: dict[str, str]
    measured: str
    stage: Stage = field(compare=False, repr=False)
    code: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "code", code_hash(self.model))

    @cached_property
    def key(self) -> str:
        """Hash of everything that weights and choice depend on, the code included."""
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
