"""Ducho's YAML as a closed schema: every key has an effect or is refused in one sentence."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, ConfigDict, Field, field_validator, model_validator

from workbench.config import Document, Location, Settings, apply_overrides, read_yaml, validate
from workbench.errors import UserError

MODALITIES = ("visual", "textual", "visual_textual")
_LATER = {
    "audio": "audio",
    "visual_audio": "joined image and audio",
    "audio_textual": "joined audio and text",
    "interactions": "features of interactions (reviews)",
    "fusion": "fusion of the two sides of a joined model",
}

LayerName = int | str
LayerNames = LayerName | list[LayerName]
Triple = tuple[float, float, float]
IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)


class ModelSettings(Settings):
    """One backbone of a source; which optional keys a backend reads, it says itself (`Encoder.uses`)."""

    # pydantic keeps `model_` for itself; Ducho's key is `model_name`
    model_config = ConfigDict(protected_namespaces=())

    model_name: str = Field(min_length=1)
    backend: str
    output_layers: LayerNames
    batch_size: int = Field(default=32, ge=1)
    weights: str | None = None

    @field_validator("output_layers")
    @classmethod
    def _some_layers(cls, value: LayerNames) -> LayerNames:
        names = value if isinstance(value, list) else [value]
        if not names or any(not str(name).strip() for name in names):
            raise ValueError("should name at least one layer")
        if len({str(name) for name in names}) < len(names):
            raise ValueError("names a layer twice")
        return value

    @property
    def layer_names(self) -> list[LayerName]:
        """`output_layers` as a list."""
        return self.output_layers if isinstance(self.output_layers, list) else [self.output_layers]


class VisualModel(ModelSettings):
    """A backbone for images."""

    reshape: tuple[int, int] | None = None
    preprocessing: Literal["zscore", "minmax"] | None = None
    mean: Triple | None = None
    std: Triple | None = None
    image_processor: str | None = None

    @field_validator("reshape")
    @classmethod
    def _some_size(cls, value: tuple[int, int] | None) -> tuple[int, int] | None:
        if value is not None and min(value) < 1:
            raise ValueError("should be [width, height] in pixels, both at least 1")
        return value

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
    dim: int | None = Field(default=None, ge=1)


class JoinedModel(ModelSettings):
    """A backbone that takes the image and the text of an item together."""

    tokenizer_name: str | None = None
    image_processor_name: str | None = None


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


class Pair(Settings):
    """One path for each side of a joined source."""

    visual: str = Field(min_length=1)
    textual: str = Field(min_length=1)


class VisualItems(Settings):
    """A folder of images, `<item id>.<extension>`."""

    input_path: str = Field(min_length=1)
    output_path: str = Field(min_length=1)
    model: Annotated[list[VisualModel], BeforeValidator(_as_list), Field(min_length=1)]


class TextualItems(Settings):
    """A TSV file with a header: a column of item ids, a column of texts."""

    input_path: str = Field(min_length=1)
    output_path: str = Field(min_length=1)
    item_column: str | None = None
    text_column: str | None = None
    model: Annotated[list[TextualModel], BeforeValidator(_as_list), Field(min_length=1)]


class JoinedItems(Settings):
    """Images and texts, paired by item id."""

    input_path: Pair
    output_path: Pair
    item_column: str | None = None
    text_column: str | None = None
    model: Annotated[list[JoinedModel], BeforeValidator(_as_list), Field(min_length=1)]


class VisualSource(Settings):
    items: VisualItems


class TextualSource(Settings):
    items: TextualItems


class JoinedSource(Settings):
    items: JoinedItems


class ExtractSettings(Settings):
    """The whole file."""

    dataset_path: str = "../data/"
    gpu_list: tuple[int, ...] = (-1,)
    per_item: bool = True
    visual: VisualSource | None = None
    textual: TextualSource | None = None
    visual_textual: JoinedSource | None = None

    @field_validator("gpu_list", mode="before")
    @classmethod
    def _numbers(cls, value: Any) -> Any:
        parts = value.split(",") if isinstance(value, str) else value if isinstance(value, (list, tuple)) else [value]
        try:
            numbers = [int(str(part)) for part in parts]
        except ValueError:
            raise ValueError('should be -1 (the CPU), a number, a list or "0,1"') from None
        if not numbers or min(numbers) < -1:
            raise ValueError('should be -1 (the CPU), a number, a list or "0,1"')
        return numbers

    @model_validator(mode="after")
    def _something(self) -> ExtractSettings:
        if not any(getattr(self, modality) for modality in MODALITIES):
            raise ValueError("nothing to extract: neither `visual`, `textual` nor `visual_textual` is there")
        return self


@dataclass(frozen=True)
class Config:
    """The checked settings and the document that they came from, for messages."""

    settings: ExtractSettings
    document: Document

    @property
    def dataset(self) -> Path:
        """The folder that input and output paths start from; itself relative to the working directory."""
        return Path(self.settings.dataset_path)

    def sources(self) -> Iterator[tuple[str, VisualItems | TextualItems | JoinedItems]]:
        """Every (modality, source), in Ducho's order."""
        for modality in MODALITIES:
            source = getattr(self.settings, modality)
            if source is not None:
                yield modality, source.items

    def where(self, *location: str | int) -> str:
        """`file:line` of a key, for messages."""
        return self.document.where(location)


def load_config(path: str | Path, overrides: Iterable[tuple[str, Any]] = ()) -> Config:
    """Read a YAML file, or the only one of a folder, with Ducho's liberties straightened out.

    `gpu list` is `gpu_list`; lists of mappings outside `model` are one mapping.

    Raises
    ------
    UserError : naming file, line, key and the nearest legal key.
    """
    document = _straighten(read_yaml(_only_yaml(Path(path))))
    texts = [(key.replace("gpu list", "gpu_list"), _as_yaml(value)) for key, value in overrides]
    document = apply_overrides(document, texts)
    _refuse_later(document)
    return Config(validate(ExtractSettings, document.data, document), document)


def weights_root_of(given: str | Path | None) -> Path | None:
    """The folder of local weights: as given, or from the environment; it must exist."""
    root = given or os.environ.get("BOTTEGA_WEIGHTS_ROOT")
    if not root:
        return None
    if not Path(root).is_dir():
        raise UserError("the folder of weights does not exist", where=root, mend="check --weights-root")
    return Path(root)


def _only_yaml(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = sorted(entry for entry in path.iterdir() if entry.suffix in (".yml", ".yaml"))
    if len(found) == 1:
        return found[0]
    names = ", ".join(entry.name for entry in found) or "none"
    raise UserError(
        f"a folder with {len(found)} YAML files ({names})",
        where=path,
        mend="give the path of the file itself",
    )


def _as_yaml(value: Any) -> str:
    if isinstance(value, str):
        return value
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("\n").removesuffix("\n...")


def _straighten(document: Document) -> Document:
    lines: dict[Location, int] = {}
    data = _flatten(document.data, (), (), document, lines)
    return Document(document.path, data, lines)


def _flatten(value: Any, old: Location, new: Location, document: Document, lines: dict[Location, int]) -> Any:
    """Copy `value`, found at `old`, to `new`: lists of mappings become one mapping, except under `model`."""
    if old in document.lines:
        lines.setdefault(new, document.lines[old])
    if isinstance(value, list) and value and all(isinstance(part, dict) for part in value) and new[-1:] != ("model",):
        merged: dict[str, Any] = {}
        for index, part in enumerate(value):
            for key, inner in _flatten(part, (*old, index), new, document, lines).items():
                if key in merged:
                    raise UserError(f"the key `{key}` stands twice", where=document.where((*old, index, key)))
                merged[key] = inner
        return merged
    if isinstance(value, list):
        return [_flatten(part, (*old, index), (*new, index), document, lines) for index, part in enumerate(value)]
    if not isinstance(value, dict):
        return value
    if new == () and "gpu list" in value and "gpu_list" in value:
        raise UserError("`gpu list` and `gpu_list` are one key", where=document.where(("gpu_list",)))
    renamed = {key: "gpu_list" if (*new, key) == ("gpu list",) else key for key in value}
    return {
        renamed[key]: _flatten(inner, (*old, key), (*new, renamed[key]), document, lines)
        for key, inner in value.items()
    }


def _refuse_later(document: Document) -> None:
    """Refuse what Ducho has and this version has not, in a sentence of its own."""

    def check(mapping: Any, at: Location) -> None:
        for key in mapping if isinstance(mapping, dict) else ():
            if key in _LATER and mapping[key] is not None:
                name = ".".join(map(str, (*at, key)))
                raise UserError(
                    f"`{name}`: {_LATER[key]} is not supported yet",
                    where=document.where((*at, key)),
                    mend="remove it; supported are visual, textual and visual_textual `items`",
                )

    check(document.data, ())
    for modality in MODALITIES:
        source = document.data.get(modality)
        check(source, (modality,))
        items = source.get("items") if isinstance(source, dict) else None
        models = items.get("model") if isinstance(items, dict) else None
        for place, model in enumerate(models if isinstance(models, list) else [models]):
            check(model, (modality, "items", "model", place))


def refuse_unused(model: ModelSettings, uses: Iterable[str], where: str) -> None:
    """Refuse a key that is set to something but that the model's backend does not read."""
    common = {"model_name", "backend", "output_layers", "batch_size"}
    legal = common | set(uses)
    for key in type(model).model_fields:
        if key in legal or getattr(model, key) == type(model).model_fields[key].default:
            continue
        raise UserError(
            f"`{key}` has no effect with backend {model.backend} ({model.model_name})",
            where=where,
            mend=f"remove it; this backend reads: {', '.join(sorted(legal))}",
        )
