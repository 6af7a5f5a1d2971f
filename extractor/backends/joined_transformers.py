"""Dual encoders of images and texts (CLIP and its kin) of the transformers library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from extractor.backends.base import Encoder, device_of
from extractor.config import JoinedModel
from extractor.layers import Layer
from extractor.weights import HubModel, find_hub_model, quiet_loading, unloadable
from workbench.config import nearest
from workbench.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

_EMBEDS = {"visual": "image_embeds", "textual": "text_embeds"}
_TOWERS = {"vision_model_output": "vision_model", "text_model_output": "text_model"}
_PADDED = ("siglip", "siglip2")  # trained on texts padded to their full length, without an attention mask


class Backend(Encoder[JoinedModel]):
    """Ducho's joined `transformers` backend: a visual and a textual table from one pass.

    A number as layer means the projected embeddings (`image_embeds`, `text_embeds`); a name is the dotted
    attribute of the model's output, `vision_model_output.pooler_output` for example.
    """

    uses = frozenset({"tokenizer_name", "image_processor_name"})
    packages = ("transformers", "torch", "tokenizers", "pillow", "numpy")

    @cached_property
    def _found(self) -> HubModel:
        return self._find(self.model.model_name)

    @cached_property
    def _others(self) -> dict[str, HubModel]:
        """The tokenizer and the image processor where they are not the model's own."""
        named = {"tokenizer": self.model.tokenizer_name, "image_processor": self.model.image_processor_name}
        return {part: self._find(name) for part, name in named.items() if name is not None}

    def _find(self, name: str) -> HubModel:
        return find_hub_model(name, self.around.weights_root, self.around.where)

    def recipe(self) -> dict[str, Any]:
        others = {part: found.identity for part, found in self._others.items()}
        return {"weights": self._found.identity, **others}

    def start(self, layers: Sequence[Layer]) -> None:
        self._layers = list(layers)
        self._device = device_of(self.around.gpu)
        self.fills_cpu = self._device.type == "cpu"
        try:
            quiet_loading()
            self._load()
        except (OSError, ValueError, KeyError) as error:
            raise unloadable(
                self.model.model_name, self._found, self.around.weights_root, self.around.where, error
            ) from error
        self._towers: dict[str, dict[str, Any]] = {}
        for output, name in _TOWERS.items():
            tower = getattr(self._model, name, None)
            if tower is not None:
                tower.register_forward_hook(self._keep(output))

    def _load(self) -> None:
        from transformers import AutoImageProcessor, AutoModel, AutoProcessor, AutoTokenizer

        def parts(kind: Any, found: HubModel) -> Any:
            return kind.from_pretrained(found.name, revision=found.revision or "main")

        self._model = parts(AutoModel, self._found).float().eval().to(self._device)
        own: Any = parts(AutoProcessor, self._found) if len(self._others) < 2 else None
        tokenizer, images = self._others.get("tokenizer"), self._others.get("image_processor")
        self._tokenizer = parts(AutoTokenizer, tokenizer) if tokenizer else own.tokenizer
        self._images = parts(AutoImageProcessor, images) if images else own.image_processor
        # some tokenizers say 10^30 where they know no limit; the text tower's positions are the limit then
        text = getattr(self._model.config, "text_config", None)
        positions = getattr(text, "max_position_embeddings", None) or self._tokenizer.model_max_length
        self._longest = min(self._tokenizer.model_max_length, positions)

    def prepare(self, content: tuple[Image, str]) -> tuple[Any, str]:
        image, text = content
        return self._images(images=image, return_tensors="pt")["pixel_values"][0], text

    def encode(self, batch: Sequence[tuple[Any, str]]) -> Mapping[Layer, np.ndarray]:
        import torch

        padding: Any = "max_length" if self._model.config.model_type in _PADDED else True
        tokens = self._tokenizer(
            [text for _, text in batch],
            padding=padding,
            truncation=True,
            max_length=self._longest,
            return_tensors="pt",
        )
        pixels = torch.stack([pixels for pixels, _ in batch])
        with torch.inference_mode():
            output = self._model(**tokens.to(self._device), pixel_values=pixels.to(self._device))
        return {layer: self._values(layer, output, len(batch)) for layer in self._layers}

    def describe(self) -> dict[str, Any]:
        return {
            "device": str(self._device),
            "architecture": type(self._model).__name__,
            "parameters": sum(parameter.numel() for parameter in self._model.parameters()),
            "image_processor": type(self._images).__name__,
            "longest_text_in_tokens": int(self._longest),
            "values": {f"{layer.side}/{layer.name}": _attribute(layer) for layer in self._layers},
        }

    def _keep(self, output: str) -> Any:
        def hook(_module: Any, _inputs: Any, result: Any) -> None:
            # a copy: from transformers 5 on the model overwrites the tower's `pooler_output` with its
            # projection
            self._towers[output] = dict(result) if isinstance(result, Mapping) else {}

        return hook

    def _values(self, layer: Layer, output: Any, count: int) -> np.ndarray:
        import torch

        first, *rest = _attribute(layer).split(".")
        value: Any = self._towers.get(first) if rest and self._towers.get(first) else _get(output, first)
        for name in rest:
            value = _get(value, name)
        if isinstance(value, torch.Tensor) and len(value) == count and value.ndim >= 2:
            if layer.side == "textual" and value.ndim > 2:
                raise UserError(
                    f"{layer.name!r} has a row for each token, and texts differ in their number",
                    where=self.around.where,
                    mend="choose a pooled output, `text_model_output.pooler_output` for example",
                )
            values: np.ndarray = value.float().cpu().numpy()
            return values
        names = [name for name, inner in dict(output).items() if inner is not None]
        names += [f"{tower}.{name}" for tower, kept in self._towers.items() for name in kept]
        raise UserError(
            f"the output of {self.model.model_name} has no values {layer.name!r} for each item",
            where=self.around.where,
            mend=nearest(layer.name, [name for name in names if "logits" not in name and name not in _TOWERS]),
        )


def _attribute(layer: Layer) -> str:
    is_number = layer.name.lstrip("-").isdigit()
    return _EMBEDS[layer.side] if is_number else layer.name


def _get(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
