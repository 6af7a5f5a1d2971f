"""Image models of the timm library; layers by module name, or `features`, `pooled`, `logits`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from extractor.backends.base import Encoder, Surroundings, device_of
from extractor.backends.batching import by_shape, in_groups
from extractor.backends.hooks import Hooks
from extractor.backends.states import RANDOM_SEED, layer_values, load_state, random_network, read_state
from extractor.backends.uploads import stacked, upload
from extractor.config import VisualModel
from extractor.layers import Layer
from extractor.weights import HubModel, find_hub_model, find_weight_file
from workbench.config import nearest
from workbench.errors import UserError
from workbench.files import sha256_file

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

_OWN = ("features", "pooled", "logits")
_FILES = ("model.safetensors", "pytorch_model.bin", "open_clip_model.safetensors", "open_clip_pytorch_model.bin")


class Backend(Encoder[VisualModel]):
    """Any model of timm, by its name: `vit_base_patch16_224.augreg_in21k`.

    features : what the model computes before its head, a row for each patch or a map.
    pooled   : those pooled as the model does it, before the classifier.
    logits   : the classifier's output; of CLIP's image tower the projected embedding.
    Any other name is a module's. Images are resized, cropped and normalised as timm's evaluation of the model
    does it. Checkpoints of OpenAI's CLIP and of open_clip fit the model of their image tower.
    """

    uses = frozenset({"weights"})
    packages = ("timm", "torch", "torchvision", "pillow", "numpy")

    def __init__(self, model: VisualModel, around: Surroundings) -> None:
        super().__init__(model, around)
        self.architecture = _architecture(model.model_name, around.where)

    def recipe(self) -> dict[str, Any]:
        return {"architecture": self.architecture, "weights": self._identity, "preprocessing": "the model's own"}

    def start(self, layers: Sequence[Layer]) -> None:
        import timm
        import torch

        self._layers = list(layers)
        self._device = device_of(self.around.gpu)
        self.fills_cpu = self._device.type == "cpu"
        network: Any = self._build().eval().requires_grad_(False)
        self._network: Any = network.to(self._device, memory_format=torch.channels_last)
        modules = [layer.name for layer in layers if layer.name not in _OWN]
        self._hooks = Hooks(self._network, modules, self.model.model_name, self.around.where)
        self._stages = _stages(self._network, {layer.name for layer in layers})
        self._settings = timm.data.resolve_model_data_config(self._network)
        self._transform: Any = timm.data.create_transform(**self._settings, is_training=False)

    def prepare(self, content: Image) -> np.ndarray:
        """(3, H, W) float32."""
        pixels: np.ndarray = self._transform(content).numpy()
        return pixels

    def stage(self, batch: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        return upload(batch, self._device)

    def encode(self, batch: Sequence[np.ndarray]) -> Mapping[Layer, np.ndarray]:
        return in_groups(
            by_shape([image.shape for image in batch]),
            lambda places: self._forward(stacked(batch, places, self._device)),
            self.around.where,
            "choose `pooled`",
        )

    def networks(self) -> list[torch.nn.Module]:
        return [self._stages]

    def describe(self) -> dict[str, Any]:
        shown = {
            key: value for key, value in self._settings.items() if key in ("input_size", "mean", "std", "crop_pct")
        }
        return {
            "device": str(self._device),
            "parameters": sum(parameter.numel() for parameter in self._network.parameters()),
            "preprocessing": {key: list(value) if isinstance(value, tuple) else value for key, value in shown.items()},
        }

    def _forward(self, images: torch.Tensor) -> dict[Layer, np.ndarray]:
        """(B, 3, H, W) float32 -> layer -> (B, ...) float32."""
        import torch

        with torch.inference_mode():
            outputs = {**self._stages(images.to(memory_format=torch.channels_last)), **self._hooks.take()}
        title, where = self.model.model_name, self.around.where
        return {layer: layer_values(layer, outputs[layer.name], len(images), title, where) for layer in self._layers}

    @cached_property
    def _file(self) -> Path | None:
        """The file of weights; None for random ones."""
        if self.model.weights == "random":
            return None
        if self.model.weights is not None:
            path = Path(self.model.weights)
            if not path.is_file():
                raise UserError(
                    f"no weights at {path}", where=self.around.where, mend="check `weights`, or leave it out"
                )
            return path
        name = self.architecture
        return find_weight_file(self.around.weights_root, name, f"{name}.safetensors") or self._hub_file()

    def _hub_file(self) -> Path:
        """The file in the repository `timm/<name>` of the hub, or in a folder of that name under the root."""
        from huggingface_hub import hf_hub_download

        name = _published_name(self.architecture, self.around.where)
        found: HubModel = find_hub_model(f"timm/{name}", self.around.weights_root, self.around.where)
        for file in _FILES:
            if found.revision is None:
                if (Path(found.name) / file).is_file():
                    return Path(found.name) / file
                continue
            try:
                return Path(hf_hub_download(found.name, file, revision=found.revision))
            except Exception:  # this repository has it under the next name
                continue
        raise UserError(
            f"no file of weights in {found.name}", where=self.around.where, mend=f"looked for {', '.join(_FILES)}"
        )

    @cached_property
    def _identity(self) -> dict[str, Any]:
        if self._file is None:
            return {"source": "random", "seed": RANDOM_SEED}
        return {"source": "local", "file": self._file.name, "sha256": sha256_file(self._file)}

    def _build(self) -> torch.nn.Module:
        import timm

        if self._file is None:
            return random_network(lambda: timm.create_model(self.architecture, pretrained=False))
        model: Any = timm.create_model(self.architecture, pretrained=False)
        state = _converted(model, read_state(self._file))
        head = model.pretrained_cfg.get("classifier")
        weight = state.get(f"{head}.weight")
        if weight is not None and len(weight) != model.num_classes:  # other classes, or the projection of CLIP
            model = timm.create_model(self.architecture, pretrained=False, num_classes=len(weight))
        elif weight is None and isinstance(head, str):  # weights without a head
            if any(layer.name in ("logits", head) for layer in self._layers):
                raise UserError(
                    f"{self._file} holds no classifier", where=self.around.where, mend="choose `pooled` or `features`"
                )
            model.reset_classifier(0)
        load_state(model, state, self._file, self.architecture, self.around.where)
        return model


def _stages(network: Any, names: Set[str]) -> torch.nn.Module:
    """The network as one module that gives what its layers are made of; the head only where it is asked for."""
    import torch

    class Stages(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
            features = self.network.forward_features(pixels)
            outputs = {"features": features}
            if "pooled" in names:
                outputs["pooled"] = self.network.forward_head(features, pre_logits=True)
            if names - {"features", "pooled"}:  # modules may lie in the head
                outputs["logits"] = self.network.forward_head(features)
            return outputs

    return Stages()


def _converted(model: Any, state: Mapping[str, Any]) -> Mapping[str, Any]:
    """The state dict with timm's names: many of its models know those of the original code, CLIP's among them."""
    from importlib import import_module

    convert = getattr(import_module(type(model).__module__), "checkpoint_filter_fn", None)
    converted: Mapping[str, Any] = convert(dict(state), model) if convert is not None else state
    return converted


def _architecture(name: str, where: str) -> str:
    """timm's name of a model, with that of its weights where one is given (`resnet50.a1_in1k`)."""
    try:
        import timm
    except ImportError as error:
        raise UserError("the package timm is not installed", where=where, mend="pip install 'bottega[timm]'") from error
    plain = name.removeprefix("hf-hub:").removeprefix("hf_hub:").removeprefix("timm/")
    architecture, dot, _ = plain.partition(".")
    if not timm.is_model(architecture):
        raise UserError(f"timm has no model {plain!r}", where=where, mend=nearest(architecture, timm.list_models()))
    if dot and plain not in timm.list_pretrained(f"{architecture}*"):
        tags = timm.list_pretrained(f"{architecture}.*")
        raise UserError(f"timm has no weights {plain!r}", where=where, mend=nearest(plain, tags or [architecture]))
    return plain


def _published_name(architecture: str, where: str) -> str:
    """The repository of the weights: as named, or those that timm takes where none are named."""
    import timm

    if "." in architecture:
        return architecture
    published = timm.models.get_pretrained_cfg(architecture, allow_unregistered=True)
    tag = getattr(published, "tag", None) if published is not None else None
    if published is None or not published.has_weights:
        raise UserError(
            f"timm publishes no weights for {architecture}",
            where=where,
            mend="set `weights: path/to/state_dict.safetensors` (or `random`, for a dry run)",
        )
    return f"{architecture}.{tag}" if tag else architecture
