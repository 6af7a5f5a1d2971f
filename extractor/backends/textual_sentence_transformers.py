"""Sentence encoders of the sentence-transformers library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from extractor.backends.base import Encoder, Surroundings, device_of
from extractor.config import TextualModel
from extractor.layers import Layer
from extractor.weights import HubModel, find_hub_model, quiet_loading, unloadable
from workbench.errors import UserError

_BATCHES_A_CHUNK = 16  # the library sorts a chunk by length, so batches of a large one hold little padding


class Backend(Encoder[TextualModel]):
    """Ducho's `sentence_transformers` backend: a hub id or a local folder, pooled as the model itself says.

    There is one output; `output_layers` (customarily 1) only names its folder, as in Ducho.
    """

    packages = ("sentence-transformers", "transformers", "torch")

    def __init__(self, model: TextualModel, around: Surroundings) -> None:
        super().__init__(model, around)
        if len(model.layer_names) > 1:
            raise UserError(
                "sentence_transformers gives one output; `output_layers` only names its folder",
                where=around.where,
                mend="write `output_layers: 1`",
            )
        self.chunk = model.batch_size * _BATCHES_A_CHUNK

    @cached_property
    def _found(self) -> HubModel:
        return find_hub_model(self.model.model_name, self.around.weights_root, self.around.where)

    def recipe(self) -> dict[str, Any]:
        return {"weights": self._found.identity, "pooling": "the model's own"}

    def start(self, layers: Sequence[Layer]) -> None:
        from sentence_transformers import SentenceTransformer

        self._layer = layers[0]
        device = device_of(self.around.gpu)
        self.fills_cpu = device.type == "cpu"
        try:
            quiet_loading()
            encoder = SentenceTransformer(self._found.name, device=str(device), revision=self._found.revision)
        except (OSError, ValueError, KeyError) as error:
            raise unloadable(
                self.model.model_name, self._found, self.around.weights_root, self.around.where, error
            ) from error
        self._encoder = encoder.eval().float()

    def prepare(self, content: str) -> str:
        return content

    def encode(self, batch: Sequence[str]) -> Mapping[Layer, np.ndarray]:
        values = self._encoder.encode(
            list(batch), batch_size=self.model.batch_size, convert_to_numpy=True, show_progress_bar=False
        )
        return {self._layer: np.asarray(values, dtype=np.float32)}

    def describe(self) -> dict[str, Any]:
        return {
            "device": str(self._encoder.device),
            "modules": [type(module).__name__ for module in self._encoder],
            "longest_text_in_tokens": self._encoder.max_seq_length,
        }
