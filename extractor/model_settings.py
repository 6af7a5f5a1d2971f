"""The keys of one backbone, a class for each modality."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from workbench.config import Settings

LayerName = int | str
LayerNames = LayerName | list[LayerName | tuple[LayerName, LayerName]]
Pooling = Literal["cls", "mean", "max", "last"]
Fusion = Literal["sum", "concat", "mul", "mean"]
Triple = tuple[float, float, float]
IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)


def _size(value: Any) -> Any:
    pair = isinstance(value, (list, tuple)) and len(value) == 2
    if value is not None and not (pair and all(isinstance(side, int) and side >= 1 for side in value)):
        raise ValueError("should be [width, height] in pixels, both at least 1")
    return value


Size = Annotated[tuple[int, int], BeforeValidator(_size)]


class ModelSettings(Settings):
    """One backbone of a source; which optional keys a backend reads, it says itself (`Encoder.uses`)."""

    # pydantic keeps `model_` for itself; Ducho's key is `model_name` (its documents say `name`)
    model_config = ConfigDict(protected_namespaces=())

    model_name: str = Field(min_length=1, validation_alias=AliasChoices("model_name", "name"))
    backend: str
    output_layers: LayerNames
    batch_size: int = Field(default=32, ge=1)
    weights: str | None = None
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    compile: bool = False

    @field_validator("output_layers", mode="before")
    @classmethod
    def _some_layers(cls, value: Any) -> Any:
        names = value if isinstance(value, list) else [value]
        flat = [part for name in names for part in (name if isinstance(name, list) and len(name) == 2 else [name])]
        if not all(isinstance(name, (int, str)) for name in flat):
            raise ValueError("should be a name, a number, or a list of them (joined models: also of pairs)")
        if not names or any(not str(name).strip() for name in names):
            raise ValueError("should name at least one layer")
        if len({str(name) for name in names}) < len(names):
            raise ValueError("names a layer twice")
        return value

    @property
    def layer_names(self) -> list[LayerName | tuple[LayerName, LayerName]]:
        """`output_layers` as a list."""
        return self.output_layers if isinstance(self.output_layers, list) else [self.output_layers]


class VisualModel(ModelSettings):
    """A backbone for images."""

    reshape: Size | None = None
    preprocessing: Literal["zscore", "minmax"] | None = None
    mean: Triple | None = None
    std: Triple | None = None
    image_processor: str | None = Field(
        default=None, validation_alias=AliasChoices("image_processor", "image_processor_name")
    )
    pooling: Pooling | None = None

    @model_validator(mode="after")
    def _moments(self) -> VisualModel:
        if (self.mean or self.std) and self.preprocessing != "zscore":
            raise ValueError("`mean` and `std` have an effect only with `preprocessing: zscore`")
        if self.std is not None and min(self.std) <= 0:
            raise ValueError("`std` should be greater than 0 for every channel")
        return self


class TextualModel(ModelSettings):
    """A backbone for texts."""

    clear_text: bool = False
    tokenizer_name: str | None = None
    pooling: Pooling | None = None
    dim: int | None = Field(default=None, ge=1)


class AudioModel(ModelSettings):
    """A backbone for recordings."""

    pooling: Pooling | None = None
    seconds: float | None = Field(default=None, gt=0)


class JoinedModel(ModelSettings):
    """A backbone that takes two contents of an item together."""

    tokenizer_name: str | None = None
    image_processor: str | None = Field(
        default=None, validation_alias=AliasChoices("image_processor_name", "image_processor")
    )
    reshape: Size | None = None
    pooling: Pooling | None = None
    seconds: float | None = Field(default=None, gt=0)
    dim: int | None = Field(default=None, ge=1)
    fusion: Fusion | None = None
