"""Elliot's `evaluation` block."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PositiveInt, field_validator, model_validator

from benchmark.config.legacy import PROTOCOLS, Legacy
from benchmark.config.slices import SliceSettings
from benchmark.data.dataset import Candidates
from workbench.config import Settings, as_list

Mask = Literal["train", "train+val"]

_TESTS = ("paired_ttest", "wilcoxon_test", "permutation_test", "bootstrap_test")


class Evaluation(Settings):
    """What is measured, of whom, among which candidates, and which tests compare models.

    mask : what a user is not recommended at test; by default training and validation items.
    candidates : which items are ranked: those of the training part (default) or of all parts.
    legacy : another system's protocol to the digit, with what is wrong in it named and labelled.
    """

    simple_metrics: Annotated[list[str], Field(min_length=1)]
    complex_metrics: list[dict[str, Any]] = []
    cutoffs: Annotated[Annotated[list[PositiveInt], Field(min_length=1)] | None, BeforeValidator(as_list)] = None
    relevance_threshold: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    mask: Mask | None = None
    candidates: Candidates | None = None
    legacy: Legacy | None = None
    slices: SliceSettings | None = None
    paired_ttest: bool = False
    wilcoxon_test: bool = False
    permutation_test: bool = False
    bootstrap_test: bool = False

    @property
    def tests(self) -> list[str]:
        """Names of the significance tests that are asked for."""
        return [name for name in _TESTS if getattr(self, name)]

    @field_validator("complex_metrics", mode="before")
    @classmethod
    def _none_or_many(cls, value: Any) -> Any:
        return value or []

    @model_validator(mode="after")
    def _legacy_stands_alone(self) -> Evaluation:
        if self.legacy is not None:
            wanted = {"mask": "train", "candidates": PROTOCOLS[self.legacy].candidates}
            for key, value in wanted.items():
                if getattr(self, key) not in (None, value):
                    raise ValueError(f"`legacy: {self.legacy}` means `{key}: {value}`; remove one of the two")
        return self
