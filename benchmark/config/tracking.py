"""`tracking`: other systems that a sweep is shown in, beside the results folder."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import model_validator

from workbench.config import Settings


class TensorboardSettings(Settings):
    """TensorBoard's event files.

    folder : where, instead of `tracking/tensorboard` in the results folder; `<dataset>/<experiment>` below it. A
        relative path starts at the experiment file.
    """

    folder: str | None = None


class WandbSettings(Settings):
    """Weights & Biases: a run for each trial, in a group for the experiment.

    project, entity : of its runs; without an entity, the account's own.
    mode : without it `WANDB_MODE` counts; without that too, `online` where a key is found, else `offline` (files in
        the results folder, which `wandb sync` sends later).
    """

    project: str = "bottega"
    entity: str | None = None
    mode: Literal["online", "offline"] | None = None


class MlflowSettings(Settings):
    """MLflow: a run for each trial, below one for the experiment.

    uri : of the tracking server or store; without it a data base in the results folder.
    experiment : MLflow's name for where the runs lie; without it `<dataset>/<experiment>`.
    """

    uri: str | None = None
    experiment: str | None = None


class TrackingSettings(Settings):
    """A name, a list of names, or a mapping of names to their settings."""

    tensorboard: TensorboardSettings | None = None
    wandb: WandbSettings | None = None
    mlflow: MlflowSettings | None = None

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        if isinstance(value, TrackingSettings):
            return value
        entries = value if isinstance(value, list) else [value]
        found: dict[str, Any] = {}
        for entry in entries:
            entry = {entry: None} if isinstance(entry, str) else entry
            if not isinstance(entry, dict) or not all(isinstance(name, str) for name in entry):
                raise ValueError("should be a tracker's name, a list of names, or a mapping of names to settings")
            for name, settings in entry.items():
                if name in found:
                    raise ValueError(f"{name} stands twice")
                found[name] = {} if settings is None else settings
        if not found:
            raise ValueError("it names no tracker: give tensorboard, wandb or mlflow, or remove `tracking`")
        return found
