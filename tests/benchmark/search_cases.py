"""A model's parameters, and spaces of them as an experiment file spells them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveInt, model_validator

from benchmark.config.meta import Meta
from benchmark.models.base import MultimodalParams, TrainingParams
from benchmark.search.space import Space, read_space
from workbench.config import read_yaml, validate


class ToyParams(TrainingParams, MultimodalParams):
    """One parameter of every kind."""

    factors: PositiveInt = 10
    l_w: NonNegativeFloat = 0.1
    shift: float = 0.0
    dropout: float = Field(0.0, ge=0, lt=1)
    hidden: tuple[int, ...] = (4,)
    init: Literal["uniform", "normal", "xavier"] = "xavier"
    note: str = ""
    heads: int | None = None
    tau: float | Literal["auto"] = Field("auto", validation_alias="temperature")
    cosine: bool = False

    @model_validator(mode="after")
    def _divisible(self) -> ToyParams:
        if self.heads is not None and self.factors % self.heads:
            raise ValueError(f"{self.factors} factors cannot be shared out to {self.heads} heads")
        return self


def read(text: str, folder: Path, **meta: Any) -> tuple[Space, Meta]:
    """A space and its meta from the lines below a model's name; the first of them is line 4 of the file."""
    path = folder / "x.yml"
    lines = "".join(f"      {line}\n" for line in text.splitlines())
    path.write_text(f"experiment:\n  models:\n    external.Toy:\n{lines}")
    document = read_yaml(path)
    at = ("experiment", "models", "external.Toy")
    parameters = dict(document.data["experiment"]["models"]["external.Toy"])
    settings = validate(Meta, parameters.pop("meta", {}) | meta, document, (*at, "meta"))
    return read_space(parameters, ToyParams, document, at), settings
