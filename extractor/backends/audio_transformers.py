"""Encoders of recordings of the transformers library (Wav2Vec2, HuBERT, WavLM, AST, the audio tower of CLAP)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from extractor.backends.batching import by_shape, in_groups
from extractor.backends.hub import HubEncoder, hidden_or_attribute
from extractor.backends.visual_transformers import stacked
from extractor.config import AudioModel
from extractor.layers import Layer
from extractor.sources import Recording, resampled
from workbench.errors import UserError


class Backend(HubEncoder[AudioModel]):
    """A name is a (dotted) attribute of the model's output, a number a hidden layer, several in one pass.

    Recordings are resampled to the model's rate and cut after `seconds`. Only recordings of one length share
    a batch: most of these models take silence for sound, so there is no padding.
    """

    uses = frozenset({"pooling", "seconds"})
    packages = ("transformers", "torch", "soundfile", "scipy", "numpy")

    def recipe(self) -> dict[str, Any]:
        return {**super().recipe(), **({"seconds": self.model.seconds} if self.model.seconds else {})}

    def _path(self, layer: Layer) -> list[str]:
        return hidden_or_attribute(layer)

    def _load(self) -> None:
        from transformers import AutoFeatureExtractor

        self._model = self._load_model()
        if getattr(self._model.config, "is_encoder_decoder", False):
            raise UserError(
                f"{self.model.model_name} is an encoder with a decoder",
                where=self.around.where,
                mend="choose a model that is an encoder: Wav2Vec2, HuBERT, WavLM, AST, CLAP",
            )
        self._extractor = self._pretrained(AutoFeatureExtractor)

    def prepare(self, content: Recording) -> dict[str, Any]:
        return audio_inputs(self._extractor, content, self.model.seconds)

    def encode(self, batch: Sequence[dict[str, Any]]) -> Mapping[Layer, np.ndarray]:
        def forward(places: list[int]) -> dict[Layer, np.ndarray]:
            output = self._run(stacked([batch[place] for place in places]), "audio")
            return self._all_values(output, len(places), {})

        groups = by_shape([tuple(value.shape for value in inputs.values()) for inputs in batch])
        return in_groups(groups, forward, self.around.where, "add `pooling: mean`, or choose a pooled output")

    def describe(self) -> dict[str, Any]:
        return {
            **super().describe(),
            "feature_extractor": type(self._extractor).__name__,
            "rate": self._extractor.sampling_rate,
        }


def audio_inputs(extractor: Any, recording: Recording, seconds: float | None) -> dict[str, Any]:
    """What a feature extractor makes of one recording: arrays without the batch dimension.

    CLAP's would cut a recording that is longer than its window at a random place; here its beginning counts.
    """
    samples = resampled(recording, extractor.sampling_rate)
    most = [len(samples), getattr(extractor, "nb_max_samples", len(samples))]
    if seconds is not None:
        most.append(max(1, round(seconds * extractor.sampling_rate)))
    found = dict(extractor(samples[: min(most)], sampling_rate=extractor.sampling_rate, return_tensors="pt"))
    if "is_longer" in found:
        found["is_longer"] = found["is_longer"] & False  # the extractor marks one at random, for training's sake
    return {name: value[0] for name, value in found.items()}
