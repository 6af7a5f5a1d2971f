"""What the backends of the transformers library share: loading, and reading layers from a model's output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from inspect import signature
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np

from extractor.backends.base import Encoder, device_of
from extractor.backends.pooling import pool
from extractor.config import ModelSettings
from extractor.layers import Layer
from extractor.weights import HubModel, find_hub_model, quiet_loading, unloadable
from workbench.config import nearest
from workbench.errors import UserError

if TYPE_CHECKING:
    import torch

ModelT = TypeVar("ModelT", bound=ModelSettings)

# side -> what a dual encoder calls its projection, its tower, and the tower's part of the joint output
EMBEDS = {"visual": "image_embeds", "textual": "text_embeds", "audio": "audio_embeds"}
TOWERS = {"visual": "vision_model", "textual": "text_model", "audio": "audio_model"}
PROJECTORS = {"visual": "get_image_features", "textual": "get_text_features", "audio": "get_audio_features"}


class HubEncoder(Encoder[ModelT]):
    """A model of the transformers library, found by hub id or folder.

    Attributes
    ----------
    parts : part of the model (`tokenizer`, ...) -> the key that names another model's.
    """

    packages = ("transformers", "torch", "tokenizers", "pillow", "numpy")
    parts: ClassVar[Mapping[str, str]] = {}
    _model: Any

    @cached_property
    def _found(self) -> HubModel:
        return self._find(self.model.model_name)

    @cached_property
    def _others(self) -> dict[str, HubModel]:
        """The parts that are another model's."""
        named = {part: getattr(self.model, key) for part, key in self.parts.items()}
        return {part: self._find(name) for part, name in named.items() if name is not None}

    def _find(self, name: str) -> HubModel:
        return find_hub_model(name, self.around.weights_root, self.around.where)

    def recipe(self) -> dict[str, Any]:
        pooling = getattr(self.model, "pooling", None)
        others = {part: found.identity for part, found in self._others.items()}
        return {"weights": self._found.identity, **others, **({"pooling": pooling} if pooling else {})}

    def start(self, layers: Sequence[Layer]) -> None:
        self._layers = list(layers)
        self._has_pooled = False
        self._device = device_of(self.around.gpu)
        self.fills_cpu = self._device.type == "cpu"
        try:
            quiet_loading()
            self._load()
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise unloadable(
                self.model.model_name, self._found, self.around.weights_root, self.around.where, error
            ) from error
        self._towers: dict[str, dict[str, Any]] = {}
        for name in TOWERS.values():
            tower = getattr(self._model, name, None)
            if tower is not None:
                tower.register_forward_hook(self._keep(f"{name}_output"))

    def _load(self) -> None:
        """Set `_model` and what prepares its inputs."""
        raise NotImplementedError

    def _pretrained(self, kind: Any, part: str | None = None) -> Any:
        """`kind.from_pretrained` of the model itself, or of the one that a key names for this part."""
        found = self._others.get(part or "", self._found)
        return kind.from_pretrained(found.name, revision=found.revision or "main")

    def _load_model(self) -> Any:
        from transformers import AutoModel

        return self._pretrained(AutoModel).float().eval().requires_grad_(False).to(self._device)

    def networks(self) -> list[torch.nn.Module]:
        side = self.around.modality
        return [getattr(self._model, TOWERS[side]) if side in TOWERS and self._is_dual(side) else self._model]

    def describe(self) -> dict[str, Any]:
        return {
            "device": str(self._device),
            "architecture": type(self._model).__name__,
            "parameters": sum(parameter.numel() for parameter in self._model.parameters()),
        }

    @property
    def _wants_hidden(self) -> bool:
        return any("hidden_states" in self._path(layer) for layer in self._layers)

    def _path(self, layer: Layer) -> list[str]:
        """Where a layer stands in the output: attributes, and places in lists."""
        raise NotImplementedError

    def _run(self, inputs: Mapping[str, Any], side: str | None = None) -> dict[str, Any]:
        """One forward pass; for one side of a dual encoder, of that tower and its projection alone."""
        import torch

        one_side = side is not None and self._is_dual(side)
        call = getattr(self._model, PROJECTORS[side]) if side is not None and one_side else self._model.forward
        tensors: dict[str, Any] = {name: value.to(self._device) for name, value in inputs.items()}
        if "token_type_ids" not in signature(call).parameters:
            tensors.pop("token_type_ids", None)  # some tokenizers give them to models that have no such thing
        if self._wants_hidden:
            tensors["output_hidden_states"] = True
        self._towers.clear()
        with torch.inference_mode():
            if side is None or not one_side:
                return {**self._model(**tensors), **self._towers}
            projected = call(**tensors)
            embeds = projected if isinstance(projected, torch.Tensor) else projected.pooler_output
        unit = torch.nn.functional.normalize(embeds, dim=-1)  # as in the model's own joint output
        return {**self._towers[f"{TOWERS[side]}_output"], EMBEDS[side]: unit}

    def _is_dual(self, side: str) -> bool:
        return hasattr(self._model, TOWERS[side]) and hasattr(self._model, PROJECTORS[side])

    def _keep(self, output: str) -> Any:
        def hook(_module: Any, _inputs: Any, result: Any) -> None:
            # a copy: from transformers 5 on the model overwrites the tower's `pooler_output` with its
            # projection
            self._towers[output] = dict(result) if isinstance(result, Mapping) else {}

        return hook

    def _values(self, layer: Layer, output: Mapping[str, Any], count: int, mask: Any = None) -> np.ndarray:
        """(count, ...) float32 of one layer; rows of tokens are pooled where `pooling` says how.

        Raises
        ------
        UserError : the output has no such values; or texts and recordings would give a row for each token.
        """
        import torch

        value: Any = output
        for name in self._path(layer):
            value = _get(value, name)
        if not isinstance(value, torch.Tensor) or value.ndim < 2 or len(value) != count:
            raise self._no_values(layer, output, count)
        pooling = getattr(self.model, "pooling", None)
        if value.ndim > 2 and pooling is not None:
            value = pool(value, mask, pooling, self.around.where)
            self._has_pooled = True
        elif value.ndim == 3 and layer.side != "visual":
            raise UserError(
                f"{layer.name!r} has a row for each token, and {_PLURAL[layer.side]} differ in their number",
                where=self.around.where,
                mend="add `pooling: mean` (or cls, max, last), or choose a pooled output",
            )
        values: np.ndarray = value.float().cpu().numpy()
        return values

    def _all_values(self, output: Mapping[str, Any], count: int, masks: Mapping[str, Any]) -> dict[Layer, np.ndarray]:
        """Every layer of one forward pass.

        Raises
        ------
        UserError : also where `pooling` is set and no layer has a row for each token.
        """
        found = {layer: self._values(layer, output, count, masks.get(layer.side)) for layer in self._layers}
        if getattr(self.model, "pooling", None) and not self._has_pooled:
            raise UserError(
                f"`pooling` has no effect: {', '.join(layer.name for layer in self._layers)} gives one vector an item",
                where=self.around.where,
                mend="remove it, or choose `last_hidden_state` or a hidden layer by its number",
            )
        return found

    def _no_values(self, layer: Layer, output: Mapping[str, Any], count: int) -> UserError:
        import torch

        hidden = _get(output, "hidden_states")
        if self._path(layer)[0] == "hidden_states" and isinstance(hidden, (tuple, list)):
            return UserError(
                f"{self.model.model_name} has no hidden layer {layer.name}",
                where=self.around.where,
                mend=f"it has 0 (the embeddings) to {len(hidden) - 1}; -1 is the last",
            )
        names = []
        for name, value in output.items():
            inner = {name: value} if not isinstance(value, Mapping) else {f"{name}.{key}": value[key] for key in value}
            names += [
                key
                for key, one in inner.items()
                if isinstance(one, torch.Tensor) and one.ndim >= 2 and len(one) == count and "logits" not in key
            ]
        return UserError(
            f"the output of {self.model.model_name} has no values {layer.name!r} for each item",
            where=self.around.where,
            mend=nearest(layer.name, names),
        )


_PLURAL = {"textual": "texts", "audio": "recordings"}


def hidden_or_attribute(layer: Layer) -> list[str]:
    """A number is a hidden layer (0: the embeddings, -1: the last); a name is a dotted attribute."""
    if is_number(layer.name):
        return ["hidden_states", layer.name]
    return layer.name.lower().split(".")


def is_number(name: str) -> bool:
    """Whether a layer's name is a whole number."""
    return name.removeprefix("-").isdecimal()


def _get(value: Any, name: str) -> Any:
    if isinstance(value, (tuple, list)):
        place = int(name) if is_number(name) else None
        return value[place] if place is not None and -len(value) <= place < len(value) else None
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
