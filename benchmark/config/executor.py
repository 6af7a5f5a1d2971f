"""The key `executor`: where the trials of a sweep run."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, NonNegativeInt, PositiveInt, field_validator, model_validator

from workbench.config import Settings, as_list, nearest


class SerialSettings(Settings):
    """One trial after the other, in this process."""


class ProcessesSettings(Settings):
    """Worker processes of this machine.

    workers : how many; by default one for each core or, where they compute on GPUs, one for each GPU.
    gpus : their GPUs in turn, several workers may share one; by default the experiment's `gpu`.
    """

    workers: PositiveInt | None = None
    gpus: Annotated[list[NonNegativeInt] | None, BeforeValidator(as_list), Field(min_length=1)] = None


class RaySettings(Settings):
    """Tasks of a Ray cluster.

    address : `host:port`, or `auto` for the cluster that this machine belongs to; None for a Ray of this machine alone.
    cpus_per_trial, gpus_per_trial : what a trial takes; a part of one, or whole ones. A trial uses one GPU at most, and
        none unless it is given a share.
    """

    address: str | None = None
    cpus_per_trial: Annotated[float, Field(gt=0)] = 1.0
    gpus_per_trial: Annotated[float, Field(ge=0, le=1)] = 0.0

    @field_validator("cpus_per_trial")
    @classmethod
    def _whole(cls, value: float) -> float:
        if value > 1 and value != int(value):
            raise ValueError("above 1 it should be a whole number")
        return value

    @field_validator("address")
    @classmethod
    def _host_and_port(cls, value: str | None) -> str | None:
        if value is not None and value != "auto":
            host, _, port = value.rpartition(":")
            if not (host and port.isdecimal() and int(port) < 2**16):
                raise ValueError("should be `auto` or host:port")
        return value


class ExecutorSettings(Settings):
    """`serial`, `processes` or `ray`, as a word or with keys of its own; without any, `serial`."""

    serial: SerialSettings | None = None
    processes: ProcessesSettings | None = None
    ray: RaySettings | None = None

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        named = {value: {}} if isinstance(value, str) else value
        if not isinstance(named, dict) or len(named) > 1:
            raise ValueError("should be `serial`, `processes` or `ray`, or one of them with its keys")
        for name in named:
            if name not in cls.model_fields:
                raise ValueError(f"there is no executor {name!r}; {nearest(str(name), cls.model_fields)}")
        return {name: {} if keys is None else keys for name, keys in named.items()}
