"""How modalities are aligned."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, PositiveFloat, PositiveInt, model_serializer, model_validator

from benchmark.training.settings import NonNegative
from workbench.config import Settings

LARGEST_LOG_SCALE = math.log(100)  # where CLIP holds it, too: more makes training unstable

# the settings with which the experiments of AlignMacridVAE (Avas et al., ECIR 2024) were run
IGUI: dict[str, Any] = {
    "method": "contrastive",
    "epochs": 15,
    "batch_size": 32,
    "lr": 1e-3,
    "log_scale": 0.15,
    "weight_decay": 0.01,
    "decay_scale": True,
}


class AlignmentParams(Settings):
    """A method, and for the contrastive one how it is trained; a bare string is the method.

    method : `contrastive`, or in closed form `cca`, `procrustes`, `pca`; see the modules of these names.
    epochs : passes over the items. batch_size : items a step, each of which is a negative of the others.
    lr : of Adam.
    log_scale : what the logarithm a of the learned scale exp(a) of the cosines starts from; it never passes ln 100.
    weight_decay : inside the gradient of the linear maps.
    decay_scale : whether it reaches a and the biases, too.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    method: Literal["contrastive", "cca", "procrustes", "pca"] = "contrastive"
    epochs: PositiveInt = 15
    batch_size: Annotated[int, Field(ge=2)] = 512
    lr: PositiveFloat = 1e-3
    log_scale: Annotated[float, Field(le=LARGEST_LOG_SCALE)] = math.log(1 / 0.07)
    weight_decay: NonNegative = 0.01
    decay_scale: bool = False

    def __str__(self) -> str:
        """The method, and what is not its default."""
        fields = type(self).model_fields
        changed = {key: getattr(self, key) for key in fields if getattr(self, key) != fields[key].default}
        changed.pop("method", None)
        others = [f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}".lower()
                  for key, value in changed.items()]  # fmt: skip
        return f"{self.method} ({', '.join(others)})" if others else self.method

    @model_serializer
    def _in_words(self) -> str:
        return str(self)

    @model_validator(mode="before")
    @classmethod
    def _spelled_method(cls, value: Any) -> Any:
        return {"method": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _keys_of_the_method(self) -> AlignmentParams:
        fields = type(self).model_fields
        foreign = [key for key in fields if key != "method" and getattr(self, key) != fields[key].default]
        if foreign and self.method != "contrastive":
            raise ValueError(f"`{foreign[0]}` belongs to `method: contrastive`; {self.method} is a closed form")
        if self.decay_scale and not self.weight_decay:
            raise ValueError("`decay_scale` says what `weight_decay` reaches, and that is 0")
        return self
