"""Two encoders of one side each, for joined sources that no dual encoder serves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from extractor.backends.base import Encoder, Surroundings
from extractor.config import SIDES, AudioModel, JoinedModel, ModelSettings, TextualModel, VisualModel
from extractor.layers import Layer, requested_pairs
from workbench.errors import UserError

_SCHEMAS: dict[str, type[ModelSettings]] = {"visual": VisualModel, "textual": TextualModel, "audio": AudioModel}
_SHARED = ("tokenizer_name", "image_processor", "pooling", "seconds", "dim")


class Backend(Encoder[JoinedModel]):
    """`model_name: first + second`, each a model of this backend for its own side.

    The items are those that have both contents, which is what `fusion` needs. A key goes to the sides that
    read it; one that neither reads is refused.
    """

    uses = frozenset(_SHARED)

    def __init__(self, model: JoinedModel, around: Surroundings) -> None:
        super().__init__(model, around)
        names = [name.strip() for name in model.model_name.split("+")]
        if len(names) != 2 or not all(names):
            raise UserError(
                f"`model_name: {model.model_name}` should name a model for each side of {around.modality}",
                where=around.where,
                mend="write `first + second`, `descriptors + mfcc` for example",
            )
        self._read: set[str] = set()
        sides = SIDES[around.modality]
        self._encoders = [self._one_side(side, name) for side, name in zip(sides, names, strict=True)]
        self._sides: dict[str, Encoder[Any]] = dict(zip(sides, self._encoders, strict=True))
        unread = [key for key in _SHARED if getattr(model, key) is not None and key not in self._read]
        if unread:
            raise UserError(
                f"`{unread[0]}` has no effect with {model.model_name}", where=around.where, mend="remove it"
            )
        self.packages = tuple(dict.fromkeys(name for one in self._encoders for name in one.packages))
        self.needs_corpus = any(encoder.needs_corpus for encoder in self._encoders)

    def _one_side(self, side: str, name: str) -> Encoder[Any]:
        from extractor.backends import find_backend

        backend = find_backend(side, self.model.backend, self.around.where)
        keys = {key for key in _SHARED if key in backend.uses and getattr(self.model, key) is not None}
        self._read |= keys
        pairs = requested_pairs(self.around.modality, self.model, self.around.where)
        block = {
            "model_name": name,
            "backend": self.model.backend,
            "output_layers": list(dict.fromkeys(layer.name for pair in pairs for layer in pair if layer.side == side)),
            "batch_size": self.model.batch_size,
        }
        settings = _SCHEMAS[side].model_validate(block | {key: getattr(self.model, key) for key in keys})
        return backend(settings, self.around)

    def recipe(self) -> dict[str, Any]:
        return {side: encoder.recipe() for side, encoder in self._sides.items()}

    def start(self, layers: Sequence[Layer]) -> None:
        self._started = [[layer for layer in layers if layer.side == side] for side in self._sides]
        for encoder, wanted in self._at_work():
            encoder.start(wanted)
        self.fills_cpu = any(encoder.fills_cpu for encoder, _ in self._at_work())

    def _at_work(self) -> list[tuple[Encoder[Any], list[Layer]]]:
        return [(one, wanted) for one, wanted in zip(self._encoders, self._started, strict=True) if wanted]

    def fit(self, prepared: Iterable[tuple[Any, Any]]) -> None:
        for place, encoder in enumerate(self._encoders):
            if encoder.needs_corpus and self._started[place]:  # of a pair, one at most is of that kind
                encoder.fit(both[place] for both in prepared)

    def prepare(self, content: tuple[Any, Any]) -> tuple[Any, ...]:
        return tuple(
            encoder.prepare(one) if wanted else None
            for encoder, wanted, one in zip(self._encoders, self._started, content, strict=True)
        )

    def encode(self, batch: Sequence[tuple[Any, ...]]) -> Mapping[Layer, np.ndarray]:
        found: dict[Layer, np.ndarray] = {}
        for place, encoder in enumerate(self._encoders):
            if self._started[place]:
                found.update(encoder.encode([prepared[place] for prepared in batch]))
        return found

    def describe(self) -> dict[str, Any]:
        started = zip(self._sides.items(), self._started, strict=True)
        return {side: encoder.describe() for (side, encoder), wanted in started if wanted}
