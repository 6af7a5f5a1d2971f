"""Text encoders of the transformers library (BERT and its kin, T5's encoder, decoders, text towers of CLIP)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from extractor.backends.base import Surroundings
from extractor.backends.batching import by_length, in_groups
from extractor.backends.hub import HubEncoder, hidden_or_attribute
from extractor.backends.tokens import Tokens
from extractor.config import TextualModel
from extractor.layers import Layer

_BATCHES_A_CHUNK = 16  # a chunk is sorted by length, so its batches hold little padding


class Backend(HubEncoder[TextualModel]):
    """A name is a (dotted) attribute of the model's output, a number a hidden layer, several in one pass.

    `pooling` makes one vector of the rows of tokens; special tokens count, padding does not.
    """

    uses = frozenset({"tokenizer_name", "pooling"})
    parts = {"tokenizer": "tokenizer_name"}

    def __init__(self, model: TextualModel, around: Surroundings) -> None:
        super().__init__(model, around)
        self.chunk = model.batch_size * _BATCHES_A_CHUNK

    def _path(self, layer: Layer) -> list[str]:
        return hidden_or_attribute(layer)

    def _load(self) -> None:
        from transformers import AutoTokenizer

        self._model = self._load_model()
        config = self._model.config
        if getattr(config, "is_encoder_decoder", False):
            self._model = self._model.get_encoder()
        self._tokens = Tokens(self._pretrained(AutoTokenizer, "tokenizer"), config)

    def prepare(self, content: str) -> str:
        return content

    def encode(self, batch: Sequence[str]) -> Mapping[Layer, np.ndarray]:
        def forward(places: list[int]) -> dict[Layer, np.ndarray]:
            tokens = self._tokens.batch([batch[place] for place in places])
            mask = tokens.get("attention_mask")
            output = self._run(tokens, "textual")
            return self._all_values(output, len(places), {"textual": mask})

        groups = by_length(self._tokens.lengths(batch), self.model.batch_size)
        return in_groups(groups, forward, self.around.where, "add `pooling: mean`")

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "longest_text_in_tokens": self._tokens.longest}
