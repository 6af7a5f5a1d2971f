"""Image encoders of the transformers library (ViT, DINOv2, ConvNeXt, image towers of CLIP and SigLIP, ...)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from extractor.backends.batching import by_shape, in_groups
from extractor.backends.hub import HubEncoder, hidden_or_attribute
from extractor.config import VisualModel
from extractor.layers import Layer

if TYPE_CHECKING:
    from PIL.Image import Image


class Backend(HubEncoder[VisualModel]):
    """A name is a (dotted) attribute of the model's output, a number a hidden layer, several in one pass.

    Images are resized and normalised by the model's own image processor, or the one that is named. Without
    `pooling` a layer of tokens or a feature map is kept whole.
    """

    uses = frozenset({"image_processor", "pooling"})
    parts = {"image_processor": "image_processor"}

    def _path(self, layer: Layer) -> list[str]:
        return hidden_or_attribute(layer)

    def _load(self) -> None:
        from transformers import AutoImageProcessor

        self._model = self._load_model()
        self._images = self._pretrained(AutoImageProcessor, "image_processor")

    def prepare(self, content: Image) -> dict[str, Any]:
        return image_inputs(self._images, content)

    def encode(self, batch: Sequence[dict[str, Any]]) -> Mapping[Layer, np.ndarray]:
        def forward(places: list[int]) -> dict[Layer, np.ndarray]:
            inputs = stacked([batch[place] for place in places])
            output = self._run(inputs, "visual")
            return self._all_values(output, len(places), {"visual": inputs.get("pixel_attention_mask")})

        groups = by_shape([tuple(inputs["pixel_values"].shape) for inputs in batch])
        return in_groups(groups, forward, self.around.where, "add `pooling: mean`, or choose a pooled output")

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "image_processor": type(self._images).__name__}


def image_inputs(processor: Any, image: Image) -> dict[str, Any]:
    """What an image processor makes of one image: tensors without the batch dimension."""
    found = processor(images=image, return_tensors="pt")
    return {name: value[0] for name, value in found.items()}


def stacked(inputs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The inputs of several items as one batch."""
    import torch

    return {name: torch.stack([torch.as_tensor(one[name]) for one in inputs]) for name in inputs[0]}
