"""Elliot's `prefiltering` block."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PositiveInt, model_validator

from benchmark.data.prefilters import ColdUsers, GlobalThreshold, KCore, Prefilter, UserAverage
from workbench.config import Settings, as_list

_NEEDS = {
    "global_threshold": {"threshold"},
    "user_average": set[str](),
    "user_k_core": {"core"},
    "item_k_core": {"core"},
    "iterative_k_core": {"core"},
    "n_rounds_k_core": {"core", "rounds"},
    "cold_users": {"threshold"},
}


class PrefilterSettings(Settings):
    """One prefilter: `threshold` (a rating, or `average`; for cold_users a number of rows), `core`, `rounds`."""

    strategy: Literal[
        "global_threshold",
        "user_average",
        "user_k_core",
        "item_k_core",
        "iterative_k_core",
        "n_rounds_k_core",
        "cold_users",
    ]
    threshold: float | Literal["average"] | None = None
    core: PositiveInt | None = None
    rounds: PositiveInt | None = None

    @model_validator(mode="after")
    def _own_keys(self) -> PrefilterSettings:
        given = {key for key in ("threshold", "core", "rounds") if getattr(self, key) is not None}
        needed = _NEEDS[self.strategy]
        if given != needed:
            wanted = " and ".join(sorted(needed)) or "no further key"
            raise ValueError(f"{self.strategy} takes {wanted}, given: {', '.join(sorted(given)) or 'none'}")
        if self.strategy == "cold_users" and not isinstance(self.threshold, float):
            raise ValueError("cold_users takes a number of rows as threshold")
        return self

    def build(self) -> Prefilter:
        """The prefilter that these settings describe."""
        core = self.core or 1
        if self.strategy == "global_threshold":
            assert self.threshold is not None
            return GlobalThreshold(self.threshold)
        if self.strategy == "cold_users":
            assert isinstance(self.threshold, float)
            return ColdUsers(int(self.threshold))
        if self.strategy == "user_average":
            return UserAverage()
        cores = {"user_k_core": (core, 1), "item_k_core": (1, core)}
        rounds = None if self.strategy == "iterative_k_core" else self.rounds or 1
        return KCore(*cores.get(self.strategy, (core, core)), rounds)


Prefiltering = Annotated[list[PrefilterSettings], BeforeValidator(as_list), Field(default_factory=list)]
