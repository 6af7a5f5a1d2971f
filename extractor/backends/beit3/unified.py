"""What BEiT-3 and VLMo have in common: one transformer for images, texts and pairs, and how vectors are read
from it.

A *route* is one way through the model: `image` and `text` alone (separate passes), or `joint`. All layers that
a configuration asks for are read from one pass over each route that they need.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import numpy as np

from extractor.backends.base import Encoder, ModelT, Surroundings, device_of
from extractor.backends.beit3.checkpoint import find_checkpoint
from extractor.backends.beit3.images import HALVES, Moments, as_square
from extractor.layers import Layer, nearest_layers
from extractor.sources import Unusable
from workbench.errors import UserError
from workbench.files import sha256_file

if TYPE_CHECKING:
    from extractor.backends.beit3.reading import UnifiedModel

OWN_ROUTE = {"visual": "image", "textual": "text"}
SPECIAL = 2  # tokens around every text: its beginning and its end
_BATCHES_A_CHUNK = 16  # texts alone are sorted by length within a chunk, so that batches hold little padding


class Sample(NamedTuple):
    """One prepared item: (P, P, 3) uint8, token numbers; what the modality does not have is None."""

    pixels: np.ndarray | None
    tokens: list[int] | None


@dataclass(frozen=True)
class Output:
    """Where the vector of a layer is read.

    Attributes
    ----------
    route : the pass.
    depth : layers passed, 0 for the embeddings; None for all of them and the last LayerNorm.
    pooling : the side's own first token, the mean of its other tokens, or the first token of the sequence.
    head : what is applied to the pooled vector.
    """

    route: str
    depth: int | None = None
    pooling: Literal["own", "mean", "start"] = "own"
    head: str | None = None


def trunk_outputs(side: str, depth: int, joined: bool) -> dict[str, Output]:
    """The layers that need no head: `<n>`, `mean`, `cls`, and for joined models the same with `joint_`.

    `cls` is the side's own first token after the last LayerNorm; `mean` averages the side's other tokens there,
    padding left out; `<n>` is the first token after n layers (0: embeddings, -1: the last), without LayerNorm.
    """
    routes = {"": OWN_ROUTE[side], **({"joint_": "joint"} if joined else {})}
    found = {
        f"{prefix}{number}": Output(route, depth=number % (depth + 1))
        for prefix, route in routes.items()
        for number in range(-depth - 1, depth + 1)
    }
    for prefix, route in routes.items():
        found[f"{prefix}mean"] = Output(route, pooling="mean")
        found[f"{prefix}cls"] = Output(route)
    return found


class UnifiedEncoder(Encoder[ModelT]):
    """The shell of both backends: what `joined_*`, `visual_*` and `textual_*` differ in is `sides`.

    Attributes
    ----------
    sides : what the content of an item has.
    architecture, published : the model, and where its authors publish the weights, for messages.
    padding : number of the padding token.
    edge, moments : what images are squeezed to (pixels) and normalised with; set by `load`.
    """

    sides: ClassVar[tuple[str, ...]]
    architecture: ClassVar[str]
    published: ClassVar[str]
    packages: tuple[str, ...] = ("torch", "pillow", "numpy")
    padding: ClassVar[int]
    edge: int
    moments: Moments = HALVES

    def __init__(self, model: ModelT, around: Surroundings) -> None:
        super().__init__(model, around)
        if self.sides == ("textual",):
            self.chunk = model.batch_size * _BATCHES_A_CHUNK

    @cached_property
    def weights(self) -> Path:
        """The file of weights."""
        return find_checkpoint(self.model, self.around, self.published)

    @abstractmethod
    def load(self) -> UnifiedModel:
        """The model with its weights, on the CPU; sets `edge` and `moments`, and opens the tokenizer."""

    @abstractmethod
    def outputs(self, side: str) -> dict[str, Output]:
        """The layers of the loaded model by name."""

    @abstractmethod
    def lacking(self, name: str) -> str | None:
        """Why the loaded checkpoint cannot give a layer that others can; None for an unknown name."""

    @abstractmethod
    def tokens(self, text: str) -> list[int]:
        """Token numbers of a text, special ones included, cut to the longest."""

    def recipe(self) -> dict[str, Any]:
        weights = {"source": "local", "file": self.weights.name, "sha256": sha256_file(self.weights)}
        return {"architecture": self.architecture, "weights": weights}

    def start(self, layers: Sequence[Layer]) -> None:
        self._device = device_of(self.around.gpu)
        self.fills_cpu = self._device.type == "cpu"
        self._model = self.load()
        self._wanted = {layer: self._find(layer) for layer in layers}
        self._model = self._model.eval().requires_grad_(False).to(self._device)

    def prepare(self, content: Any) -> Sample:
        """An image, a text, or the pair of them, by `sides`."""
        image, text = content if len(self.sides) == 2 else (content, content)
        tokens = self.tokens(text) if "textual" in self.sides else None
        if tokens is not None and len(tokens) <= SPECIAL:
            raise Unusable("the tokenizer finds nothing in the text")
        return Sample(as_square(image, self.edge) if "visual" in self.sides else None, tokens)

    def encode(self, batch: Sequence[Sample]) -> Mapping[Layer, np.ndarray]:
        import torch

        from extractor.backends.beit3.reading import collate, read_layers

        order = sorted(range(len(batch)), key=lambda place: len(batch[place].tokens or ()))
        parts = []
        with torch.inference_mode():
            for begin in range(0, len(order), self.model.batch_size):
                samples = [batch[place] for place in order[begin : begin + self.model.batch_size]]
                inputs = collate(samples, self.padding, self.moments, self._device)
                parts.append(read_layers(self._model, inputs, self._wanted))
        back = np.argsort(order)
        return {layer: torch.cat([part[layer] for part in parts]).float().cpu().numpy()[back] for layer in self._wanted}

    def describe(self) -> dict[str, Any]:
        routes = {f"{layer.side}/{layer.name}": output.route for layer, output in self._wanted.items()}
        return {
            "device": str(self._device),
            "parameters": sum(parameter.numel() for parameter in self._model.parameters()),
            "passes": routes,
            **({"pixels": self.edge, **self.moments._asdict()} if "visual" in self.sides else {}),
        }

    def _find(self, layer: Layer) -> Output:
        legal = self.outputs(layer.side)
        if layer.name in legal:
            return legal[layer.name]
        name, where = self.model.model_name, self.around.where
        if layer.name.startswith("joint_") and len(self.sides) == 1:
            raise UserError(
                f"{layer.name!r} needs the image and the text of an item",
                where=where,
                mend="put this model under `visual_textual`, or choose a layer of one side, `cls` for example",
            )
        reason = self.lacking(layer.name)
        if reason is not None:
            raise UserError(f"{name} cannot give the layer {layer.name!r}: {reason}", where=where)
        raise UserError(
            f"{name} has no layer {layer.name!r}", where=where, mend=nearest_layers(layer.name, list(legal))
        )
