"""`fusion`: one table out of the two sides of a joined model, row by row of the same item."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from extractor.backends.base import Encoder
from extractor.config import JoinedModel
from extractor.layers import Layer, fused_layer, requested_pairs
from workbench.errors import UserError

if TYPE_CHECKING:
    import torch

FUSIONS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "sum": lambda first, second: first + second,
    "concat": lambda first, second: np.concatenate([first, second], axis=1),
    "mul": lambda first, second: first * second,
    "mean": lambda first, second: (first + second) / 2,
}


def fuse(first: np.ndarray, second: np.ndarray, fusion: str, where: str) -> np.ndarray:
    """(B, ...) and (B, ...) -> (B, D) float32; everything after the batch is laid out flat first.

    Raises
    ------
    UserError : the two sides have not the same number of values, and `fusion` is not `concat`.
    """
    first, second = (np.asarray(side, dtype=np.float32).reshape(len(side), -1) for side in (first, second))
    if fusion != "concat" and first.shape != second.shape:
        raise UserError(
            f"`fusion: {fusion}` of {first.shape[1]} and {second.shape[1]} values",
            where=where,
            mend="use `fusion: concat`, or layers of one size (the projected embeddings: `output_layers: 1`)",
        )
    return FUSIONS[fusion](first, second)


class Fused(Encoder[JoinedModel]):
    """A joined encoder whose two sides are fused before they are written."""

    def __init__(self, inner: Encoder[Any], modality: str) -> None:
        super().__init__(inner.model, inner.around)
        self._inner = inner
        self._pairs = {
            fused_layer(modality, pair): pair for pair in requested_pairs(modality, inner.model, inner.around.where)
        }
        self.packages = inner.packages
        self.needs_corpus = inner.needs_corpus
        self.chunk = inner.chunk

    def recipe(self) -> dict[str, Any]:
        return {**self._inner.recipe(), "fusion": self.model.fusion}

    def start(self, layers: Sequence[Layer]) -> None:
        self._layers = list(layers)
        self._inner.start(list(dict.fromkeys(side for layer in layers for side in self._pairs[layer])))
        self.fills_cpu = self._inner.fills_cpu

    def fit(self, prepared: Iterable[Any]) -> None:
        self._inner.fit(prepared)

    def prepare(self, content: Any) -> Any:
        return self._inner.prepare(content)

    def encode(self, batch: Sequence[Any]) -> Mapping[Layer, np.ndarray]:
        values = self._inner.encode(batch)
        fusion = str(self.model.fusion)
        found = {}
        for layer in self._layers:
            first, second = self._pairs[layer]
            found[layer] = fuse(values[first], values[second], fusion, self.around.where)
        return found

    def stage(self, batch: Sequence[Any]) -> Any:
        return self._inner.stage(batch)

    def networks(self) -> list[torch.nn.Module]:
        return self._inner.networks()

    def describe(self) -> dict[str, Any]:
        return self._inner.describe()
