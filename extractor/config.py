"""Ducho's YAML as a closed schema: every key has an effect or is refused in one sentence."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import Field, field_validator, model_validator

from extractor.ducho_yaml import read_ducho_yaml
from extractor.execution import Executor
from extractor.model_settings import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    AudioModel,
    JoinedModel,
    ModelSettings,
    TextualModel,
    VisualModel,
)
from extractor.source_settings import (
    KINDS,
    AudioSources,
    AudioTextualSources,
    TextualSources,
    VisualAudioSources,
    VisualSources,
    VisualTextualSources,
)
from workbench.config import Document, Location, Settings, apply_overrides, validate
from workbench.errors import UserError

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "MODALITIES",
    "SIDES",
    "AudioModel",
    "Block",
    "Config",
    "ExtractSettings",
    "JoinedModel",
    "ModelSettings",
    "TextualModel",
    "VisualModel",
    "load_config",
    "refuse_unused",
    "weights_root_of",
]

MODALITIES = ("visual", "textual", "audio", "visual_textual", "visual_audio", "audio_textual")
SIDES = {
    "visual_textual": ("visual", "textual"),
    "visual_audio": ("visual", "audio"),
    "audio_textual": ("audio", "textual"),
}


class ExtractSettings(Settings):
    """The whole file."""

    dataset_path: str = "../data/"
    gpu_list: tuple[int, ...] = (-1,)
    per_item: bool = True
    max_quarantined: float | None = Field(default=None, ge=0, le=1)
    executor: Executor | None = None
    visual: VisualSources | None = None
    textual: TextualSources | None = None
    audio: AudioSources | None = None
    visual_textual: VisualTextualSources | None = None
    visual_audio: VisualAudioSources | None = None
    audio_textual: AudioTextualSources | None = None

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
            raise ValueError(f"nothing to extract: there is none of {', '.join(MODALITIES)}")
        return self


class Block(NamedTuple):
    """One source of the file: its modality, `items` or `interactions`, and its keys."""

    modality: str
    kind: str
    settings: Any

    @property
    def at(self) -> Location:
        return (self.modality, self.kind)

    @property
    def name(self) -> str:
        """What messages and the quarantine list call it."""
        return self.modality if self.kind == "items" else f"{self.modality} {self.kind}"


@dataclass(frozen=True)
class Config:
    """The checked settings and the document that they came from, for messages."""

    settings: ExtractSettings
    document: Document

    @property
    def dataset(self) -> Path:
        """The folder that input and output paths start from; itself relative to the working directory."""
        return Path(self.settings.dataset_path)

    def sources(self) -> Iterator[Block]:
        """Every source, in Ducho's order."""
        for modality in MODALITIES:
            sources = getattr(self.settings, modality)
            for kind in KINDS:
                if sources is not None and getattr(sources, kind) is not None:
                    yield Block(modality, kind, getattr(sources, kind))

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
    document = read_ducho_yaml(Path(path))
    texts = [(key.replace("gpu list", "gpu_list"), _as_yaml(value)) for key, value in overrides]
    document = apply_overrides(document, texts)
    return Config(validate(ExtractSettings, document.data, document), document)


def weights_root_of(given: str | Path | None) -> Path | None:
    """The folder of local weights: as given, or from the environment; it must exist."""
    root = given or os.environ.get("BOTTEGA_WEIGHTS_ROOT")
    if not root:
        return None
    if not Path(root).is_dir():
        raise UserError("the folder of weights does not exist", where=root, mend="check --weights-root")
    return Path(root)


def _as_yaml(value: Any) -> str:
    if isinstance(value, str):
        return value
    return yaml.safe_dump(value, default_flow_style=True).removesuffix("\n").removesuffix("\n...")


def refuse_unused(model: ModelSettings, uses: Iterable[str], where: str) -> None:
    """Refuse a key that is set to something but that the model's backend does not read."""
    common = {"model_name", "backend", "output_layers", "batch_size"}
    common |= {"fusion"} if isinstance(model, JoinedModel) else set()
    legal = common | set(uses)
    for key in type(model).model_fields:
        if key in legal or getattr(model, key) == type(model).model_fields[key].default:
            continue
        raise UserError(
            f"`{key}` has no effect with backend {model.backend} ({model.model_name})",
            where=where,
            mend=f"remove it; this backend reads: {', '.join(sorted(legal))}",
        )
