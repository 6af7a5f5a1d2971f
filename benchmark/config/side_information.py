"""Elliot's `side_information`: which features are loaded, and what stands in where there are none."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from benchmark.data.modalities import Control, Missing
from workbench.config import Settings

_FEATURE_KEY = {"VisualAttribute": "visual", "TextualAttribute": "textual", "AudioAttribute": "audio"}


class SideInformation(Settings):
    """One loader of item features.

    `missing` says what an item without features gets; `control` puts uninformative features in the place of the real
    ones (rows exchanged among items, or noise of the same scale), the comparison that every multimodal result needs.
    """

    dataloader: Literal["VisualAttribute", "TextualAttribute", "AudioAttribute"]
    visual_features: str | None = None
    textual_features: str | None = None
    audio_features: str | None = None
    missing: Missing = "error"
    control: Control | None = None

    @model_validator(mode="after")
    def _own_key(self) -> SideInformation:
        own = f"{self.modality}_features"
        given = [f"{name}_features" for name in _FEATURE_KEY.values() if getattr(self, f"{name}_features")]
        if given != [own]:
            raise ValueError(f"{self.dataloader} takes the key {own}, given: {', '.join(given) or 'none'}")
        return self

    @property
    def modality(self) -> str:
        return _FEATURE_KEY[self.dataloader]

    @property
    def features(self) -> str:
        return str(getattr(self, f"{self.modality}_features"))
