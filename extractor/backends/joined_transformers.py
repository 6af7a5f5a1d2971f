"""Dual encoders of the transformers library: images and texts (CLIP and its kin), recordings and texts (CLAP)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from extractor.backends.audio_transformers import audio_inputs
from extractor.backends.batching import by_shape, in_groups
from extractor.backends.hub import EMBEDS, HubEncoder, is_number
from extractor.backends.tokens import Tokens
from extractor.backends.visual_transformers import image_inputs, stacked
from extractor.config import JoinedModel
from extractor.layers import Layer
from workbench.errors import UserError


class Backend(HubEncoder[JoinedModel]):
    """Ducho's joined `transformers` backend: a table of each side from one pass.

    A number as layer means the projected embeddings (`image_embeds`, `text_embeds`, `audio_embeds`); a name is
    the dotted attribute of the model's output, `vision_model_output.pooler_output` for example.
    """

    uses = frozenset({"tokenizer_name", "image_processor", "pooling", "seconds"})
    parts = {"tokenizer": "tokenizer_name", "image_processor": "image_processor"}

    def _path(self, layer: Layer) -> list[str]:
        return [EMBEDS[layer.side]] if is_number(layer.name) else layer.name.split(".")

    def recipe(self) -> dict[str, Any]:
        return {**super().recipe(), **({"seconds": self.model.seconds} if self.model.seconds else {})}

    def _load(self) -> None:
        from transformers import AutoTokenizer

        self._model = self._load_model()
        config = self._model.config
        self._hears = hasattr(config, "audio_config")
        self._check_sides()
        self._tokens = Tokens(self._pretrained(AutoTokenizer, "tokenizer"), config)
        if self._hears:
            from transformers import AutoFeatureExtractor

            self._first = self._pretrained(AutoFeatureExtractor)
        else:
            from transformers import AutoImageProcessor

            self._first = self._pretrained(AutoImageProcessor, "image_processor")

    def _check_sides(self) -> None:
        sides = {layer.side for layer in self._layers}
        wrong = sides & ({"visual"} if self._hears else {"audio"})
        unused = [key for key in ("image_processor",) if self._hears and getattr(self.model, key)]
        unused += ["seconds"] if self.model.seconds and not self._hears else []
        if wrong:
            has = "recordings and texts" if self._hears else "images and texts"
            raise UserError(
                f"{self.model.model_name} is a model of {has}: it has no {wrong.pop()} side",
                where=self.around.where,
                mend=f"use it under `{'audio_textual' if self._hears else 'visual_textual'}`",
            )
        if unused:
            raise UserError(
                f"`{unused[0]}` has no effect with {self.model.model_name}", where=self.around.where, mend="remove it"
            )

    def prepare(self, content: tuple[Any, str]) -> tuple[dict[str, Any], str]:
        first, text = content
        if self._hears:
            return audio_inputs(self._first, first, self.model.seconds), text
        return image_inputs(self._first, first), text

    def encode(self, batch: Sequence[tuple[dict[str, Any], str]]) -> Mapping[Layer, np.ndarray]:
        def forward(places: list[int]) -> dict[Layer, np.ndarray]:
            inputs = stacked([batch[place][0] for place in places])
            tokens = self._tokens.batch([batch[place][1] for place in places])
            output = self._run({**tokens, **inputs})
            masks = {"textual": tokens.get("attention_mask"), "visual": inputs.get("pixel_attention_mask")}
            return self._all_values(output, len(places), masks)

        shapes = [tuple(tuple(value.shape) for value in inputs.values()) for inputs, _ in batch]
        return in_groups(by_shape(shapes), forward, self.around.where, "add `pooling: mean`")

    def describe(self) -> dict[str, Any]:
        return {
            **super().describe(),
            "feature_extractor" if self._hears else "image_processor": type(self._first).__name__,
            "longest_text_in_tokens": self._tokens.longest,
            "values": {f"{layer.side}/{layer.name}": ".".join(self._path(layer)) for layer in self._layers},
        }
