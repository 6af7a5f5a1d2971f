"""The key `executor`: who computes the shards of an extraction."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from workbench.config import Settings


class Processes(Settings):
    """Shards in processes of this machine; their number: one for each GPU of `gpu_list`, unless it is given."""

    shards: int | None = Field(default=None, ge=1)


class Ray(Settings):
    """Shards as tasks of a Ray cluster that shares the folders; without an address, of a Ray on this machine."""

    address: str | None = None
    shards: int | None = Field(default=None, ge=1)


class Executor(Settings):
    """`processes` or `ray`, as a word or with keys of its own."""

    processes: Processes | None = None
    ray: Ray | None = None

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        named = {value: {}} if isinstance(value, str) else value
        if not isinstance(named, dict) or len(named) != 1:
            raise ValueError("should be `processes`, `ray`, or one of them with its keys")
        return {name: {} if keys is None else keys for name, keys in named.items()}
