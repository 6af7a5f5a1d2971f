"""The keys of a source: what is read, where its tables go, and its models; a class for each modality and kind."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from extractor.model_settings import AudioModel, Fusion, JoinedModel, TextualModel, VisualModel
from workbench.config import Settings, as_list

KINDS = ("items", "interactions")


_Path = Annotated[str, Field(min_length=1)]
_AsList = BeforeValidator(as_list)
_Some = Field(min_length=1)


class SourceSettings(Settings):
    """One source: what is read, where the tables go, and the models; each kind adds its own keys."""


class VisualItems(SourceSettings):
    """A folder of images, `<item id>.<extension>` (of interactions: `<user>__<item>.<extension>`)."""

    input_path: _Path
    output_path: _Path
    model: Annotated[list[VisualModel], _AsList, _Some]


class AudioItems(SourceSettings):
    """A folder of recordings, named as images are."""

    input_path: _Path
    output_path: _Path
    model: Annotated[list[AudioModel], _AsList, _Some]


class TextualItems(SourceSettings):
    """A TSV file with a header: a column of item ids, a column of texts."""

    input_path: _Path
    output_path: _Path
    item_column: str | None = None
    text_column: str | None = None
    model: Annotated[list[TextualModel], _AsList, _Some]


class TextualInteractions(SourceSettings):
    """A TSV file with a header: columns of user ids, of item ids, and of texts (reviews)."""

    input_path: _Path
    output_path: _Path
    interaction_columns: tuple[str, str]
    text_column: str
    model: Annotated[list[TextualModel], _AsList, _Some]


class _Joined(SourceSettings):
    """Two contents of each item, paired by id; `fusion` here is that of every model that names none."""

    fusion: Fusion | None = None
    model: Annotated[list[JoinedModel], _AsList, _Some]

    @model_validator(mode="before")
    @classmethod
    def _share_fusion(cls, value: Any) -> Any:
        if not isinstance(value, dict) or not value.get("fusion"):
            return value
        models = as_list(value.get("model"))
        if not isinstance(models, list) or not all(isinstance(model, dict) for model in models):
            return value
        return {**value, "model": [{"fusion": value["fusion"], **model} for model in models]}


class _VisualTextualPaths(Settings):
    visual: _Path
    textual: _Path


class _VisualAudioPaths(Settings):
    visual: _Path
    audio: _Path


class _AudioTextualPaths(Settings):
    audio: _Path
    textual: _Path


class _ItemColumns(_Joined):
    item_column: str | None = None
    text_column: str | None = None


class _InteractionColumns(_Joined):
    interaction_columns: tuple[str, str]
    text_column: str


class VisualTextualItems(_ItemColumns):
    input_path: _VisualTextualPaths
    output_path: _VisualTextualPaths


class VisualTextualInteractions(_InteractionColumns):
    input_path: _VisualTextualPaths
    output_path: _VisualTextualPaths


class VisualAudioItems(_Joined):
    input_path: _VisualAudioPaths
    output_path: _VisualAudioPaths


class AudioTextualItems(_ItemColumns):
    input_path: _AudioTextualPaths
    output_path: _AudioTextualPaths


class AudioTextualInteractions(_InteractionColumns):
    input_path: _AudioTextualPaths
    output_path: _AudioTextualPaths


class _Modality(Settings):
    @model_validator(mode="after")
    def _some_kind(self) -> _Modality:
        if not any(getattr(self, kind) for kind in KINDS):
            raise ValueError("neither `items` nor `interactions` is there")
        return self


class VisualSources(_Modality):
    items: VisualItems | None = None
    interactions: VisualItems | None = None


class AudioSources(_Modality):
    items: AudioItems | None = None
    interactions: AudioItems | None = None


class TextualSources(_Modality):
    items: TextualItems | None = None
    interactions: TextualInteractions | None = None


class VisualTextualSources(_Modality):
    items: VisualTextualItems | None = None
    interactions: VisualTextualInteractions | None = None


class VisualAudioSources(_Modality):
    items: VisualAudioItems | None = None
    interactions: VisualAudioItems | None = None


class AudioTextualSources(_Modality):
    items: AudioTextualItems | None = None
    interactions: AudioTextualInteractions | None = None
