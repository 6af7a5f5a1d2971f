"""Elliot's `data_config`: where interactions and features lie."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from benchmark.config.side_information import SideInformation
from benchmark.data.interactions import Duplicates
from workbench.config import Settings


class DataConfig(Settings):
    """Where interactions and features lie; `fixed`: ready parts, `dataset`: one file that `splitting` cuts."""

    strategy: Literal["fixed", "dataset"]
    dataset_path: str | None = None
    train_path: str | None = None
    validation_path: str | None = None
    test_path: str | None = None
    duplicates: Duplicates = "error"
    side_information: list[SideInformation] = []

    @model_validator(mode="after")
    def _paths(self) -> DataConfig:
        needed = {"fixed": ("train_path", "test_path"), "dataset": ("dataset_path",)}[self.strategy]
        for key in needed:
            if getattr(self, key) is None:
                raise ValueError(f"the strategy {self.strategy} needs {key}")
        foreign = {"fixed": ("dataset_path",), "dataset": ("train_path", "validation_path", "test_path")}[self.strategy]
        for key in foreign:
            if getattr(self, key) is not None:
                raise ValueError(f"the strategy {self.strategy} does not read {key}")
        names = [side.modality for side in self.side_information]
        if len(set(names)) < len(names):
            raise ValueError(f"two loaders of one modality: {', '.join(names)}")
        return self
