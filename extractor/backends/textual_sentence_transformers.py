"""Sentence encoders of the sentence-transformers library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from extractor.backends.base import Encoder, Surroundings, device_of
from extractor.backends.hub import is_number
from extractor.backends.pooling import pool
from extractor.config import TextualModel
from extractor.layers import Layer, by_name
from extractor.weights import HubModel, find_hub_model, quiet_loading, unloadable
from workbench.errors import UserError

if TYPE_CHECKING:
    import torch

_BATCHES_A_CHUNK = 16  # the library sorts a chunk by length, so batches of a large one hold little padding
_POOLED, _TOKENS = "sentence_embedding", "token_embeddings"


class Backend(Encoder[TextualModel]):
    """Ducho's `sentence_transformers` backend: a hub id or a local folder.

    sentence_embedding : pooled as the model itself says. A number (customarily 1) is a name for it, as in Ducho.
    token_embeddings   : the rows of tokens, pooled as `pooling` says; both come from one pass.
    """

    uses = frozenset({"pooling"})
    packages = ("sentence-transformers", "transformers", "torch")

    def __init__(self, model: TextualModel, around: Surroundings) -> None:
        super().__init__(model, around)
        names = [_layer(str(name)) for name in model.layer_names]
        by_name(names, (_POOLED, _TOKENS), around.where, "sentence_transformers")
        if len(set(names)) < len(names):
            raise UserError(
                "sentence_transformers gives one pooled output; a number only names its folder",
                where=around.where,
                mend="write `output_layers: 1`",
            )
        if (_TOKENS in names) != (model.pooling is not None):
            raise UserError(
                f"`pooling` and the layer {_TOKENS} belong together",
                where=around.where,
                mend="add `pooling: mean` (or cls, max, last)" if _TOKENS in names else "remove `pooling`",
            )
        self.chunk = model.batch_size * _BATCHES_A_CHUNK

    @cached_property
    def _found(self) -> HubModel:
        return find_hub_model(self.model.model_name, self.around.weights_root, self.around.where)

    def recipe(self) -> dict[str, Any]:
        return {"weights": self._found.identity, "pooling": self.model.pooling or "the model's own"}

    def start(self, layers: Sequence[Layer]) -> None:
        from sentence_transformers import SentenceTransformer

        self._layers = list(layers)
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
        names = {layer: _layer(layer.name) for layer in self._layers}
        if _TOKENS not in names.values():
            return {layer: self._sentences(batch) for layer in self._layers}
        outputs: Any = self._encoder.encode(
            list(batch), batch_size=self.model.batch_size, output_value=None, show_progress_bar=False
        )
        return {
            layer: np.stack([self._pooled(output) if name == _TOKENS else _array(output[name]) for output in outputs])
            for layer, name in names.items()
        }

    def networks(self) -> list[torch.nn.Module]:
        return [self._encoder[0]]  # the library calls the chain's parts, not the chain

    def describe(self) -> dict[str, Any]:
        return {
            "device": str(self._encoder.device),
            "modules": [type(module).__name__ for module in self._encoder],
            "longest_text_in_tokens": self._encoder.max_seq_length,
        }

    def _sentences(self, batch: Sequence[str]) -> np.ndarray:
        values = self._encoder.encode(
            list(batch), batch_size=self.model.batch_size, convert_to_numpy=True, show_progress_bar=False
        )
        return np.asarray(values, dtype=np.float32)

    def _pooled(self, output: Mapping[str, Any]) -> np.ndarray:
        tokens, mask = output[_TOKENS][None], output["attention_mask"][None]
        return _array(pool(tokens, mask, str(self.model.pooling), self.around.where)[0])


def _layer(name: str) -> str:
    return _POOLED if is_number(name) else name


def _array(values: torch.Tensor) -> np.ndarray:
    array: np.ndarray = values.float().cpu().numpy()
    return array
