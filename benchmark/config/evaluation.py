"""Elliot's `evaluation` block."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt, field_validator

from workbench.config import Settings


class Evaluation(Settings):
    """What is measured: metrics, cutoffs, what is relevant, what is masked at test, which tests compare models."""

    simple_metrics: Annotated[list[str], Field(min_length=1)]
    cutoffs: Annotated[list[PositiveInt], Field(min_length=1)] | None = None
    relevance_threshold: float = 0.0
    mask: Literal["train", "train+val"] = "train+val"
    paired_ttest: bool = False
    wilcoxon_test: bool = False
    permutation_test: bool = False

    @property
    def tests(self) -> list[str]:
        """Names of the significance tests that are asked for."""
        names = ("paired_ttest", "wilcoxon_test", "permutation_test")
        return [name for name in names if getattr(self, name)]

    @field_validator("cutoffs", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, int) else value
