"""torchvision's classification models; layers by the node names of their FX graph, or by module name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from loguru import logger

from extractor.backends.base import Encoder, Surroundings, device_of
from extractor.backends.batching import by_shape, in_groups
from extractor.backends.hooks import Hooks
from extractor.backends.states import RANDOM_SEED, layer_values, load_state, random_network, read_state
from extractor.backends.uploads import stacked, upload
from extractor.config import IMAGENET_MEAN, IMAGENET_STD, VisualModel
from extractor.layers import Layer, nearest_layers
from extractor.weights import WEIGHT_FILES, find_weight_file, published_missing
from workbench.config import nearest
from workbench.errors import UserError
from workbench.files import sha256_file

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

_INIT = {"googlenet": {"transform_input": True, "init_weights": False},
         "inception_v3": {"transform_input": True, "init_weights": False}}  # fmt: skip


class Backend(Encoder[VisualModel]):
    """Ducho's `torch` backend: several layers in one pass over a graph that is traced once.

    Images are squeezed to `reshape` (bicubic, no cropping), scaled to [0, 1] and then, by `preprocessing`,
    left so, normalised by `mean` and `std` (zscore), or stretched to [0, 1] over all channels of the image
    (minmax).
    """

    uses = frozenset({"weights", "reshape", "preprocessing", "mean", "std"})
    packages = ("torch", "torchvision", "pillow", "numpy")

    def __init__(self, model: VisualModel, around: Surroundings) -> None:
        super().__init__(model, around)
        self.architecture = _architecture(model.model_name, around.where)

    def recipe(self) -> dict[str, Any]:
        preprocessing: dict[str, Any] = {"reshape": self.model.reshape and list(self.model.reshape)}
        preprocessing |= {"resample": "bicubic", "scaling": self.model.preprocessing or "0 to 1"}
        if self.model.preprocessing == "zscore":
            preprocessing |= {"mean": list(self._mean), "std": list(self._std)}
        return {"architecture": self.architecture, "weights": self._identity, "preprocessing": preprocessing}

    def start(self, layers: Sequence[Layer]) -> None:
        import torch

        model = self._build().eval().requires_grad_(False)
        self._layers = list(layers)
        self._device = device_of(self.around.gpu)
        self.fills_cpu = self._device.type == "cpu"
        self._hooks: Hooks | None = None
        network: Any = self._trace(model, [layer.name for layer in layers])
        # channels last: half as fast again on a CPU
        self._network: torch.nn.Module = network.to(self._device, memory_format=torch.channels_last)

    def _trace(self, model: torch.nn.Module, names: list[str]) -> torch.nn.Module:
        """The graph that gives these nodes and computes nothing beyond them; hooks where there is no graph."""
        from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

        try:
            nodes = get_graph_node_names(model)[1]
        except Exception as error:  # control flow that depends on the values: FX raises many kinds
            logger.info("{}: no graph ({}); layers are modules", self.model.model_name, type(error).__name__)
            self._hooks = Hooks(model, names, self.model.model_name, self.around.where)
            return model
        for name in names:
            if not any(node == name or node.startswith(f"{name}.") for node in nodes):
                raise UserError(
                    f"{self.model.model_name} has no layer {name!r}",
                    where=self.around.where,
                    mend=nearest_layers(name, nodes),
                )
        graph: torch.nn.Module = create_feature_extractor(model, return_nodes={name: name for name in names})
        return graph

    def prepare(self, content: Image) -> np.ndarray:
        """(H, W, 3) uint8; what follows is cheaper on a whole batch."""
        from PIL import Image as pillow

        if self.model.reshape is not None and content.size != self.model.reshape:
            content = content.resize(self.model.reshape, pillow.Resampling.BICUBIC)
        return np.asarray(content)

    def stage(self, batch: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        return upload(batch, self._device)

    def encode(self, batch: Sequence[np.ndarray]) -> Mapping[Layer, np.ndarray]:
        return in_groups(
            by_shape([image.shape for image in batch]),
            lambda places: self._forward(stacked(batch, places, self._device)),
            self.around.where,
            "set `reshape: [224, 224]`, or choose a layer after the pooling",
        )

    def networks(self) -> list[torch.nn.Module]:
        return [self._network]

    def describe(self) -> dict[str, Any]:
        return {"device": str(self._device), "parameters": sum(p.numel() for p in self._network.parameters())}

    def _forward(self, images: torch.Tensor) -> dict[Layer, np.ndarray]:
        """(B, H, W, 3) uint8 -> layer -> (B, ...) float32."""
        import torch

        with torch.inference_mode():
            # B, H, W, C seen as B, C, H, W is what `channels_last` means: no copy
            pixels = images.permute(0, 3, 1, 2)
            outputs = self._network(self._scale(pixels.float().div_(255)))
        if self._hooks is not None:
            outputs = self._hooks.take()
        title, where = self.model.model_name, self.around.where
        return {layer: layer_values(layer, outputs[layer.name], len(images), title, where) for layer in self._layers}

    def _scale(self, pixels: torch.Tensor) -> torch.Tensor:
        import torch

        if self.model.preprocessing == "zscore":
            mean = torch.tensor(self._mean, device=pixels.device).view(1, 3, 1, 1)
            std = torch.tensor(self._std, device=pixels.device).view(1, 3, 1, 1)
            return pixels.sub_(mean).div_(std)
        if self.model.preprocessing == "minmax":
            low = pixels.amin(dim=(1, 2, 3), keepdim=True)
            span = pixels.amax(dim=(1, 2, 3), keepdim=True) - low
            return pixels.sub_(low).div_(span.clamp_min(1 / 255))  # an image of one colour becomes all zeros
        return pixels

    @property
    def _mean(self) -> tuple[float, float, float]:
        return self.model.mean or IMAGENET_MEAN

    @property
    def _std(self) -> tuple[float, float, float]:
        return self.model.std or IMAGENET_STD

    @cached_property
    def _file(self) -> Path | None:
        """The file of weights; None for random ones."""
        if self.model.weights == "random":
            return None
        if self.model.weights is None:
            return _published_file(self.model.model_name, self.architecture, self.around)
        path = Path(self.model.weights)
        if not path.is_file():
            raise UserError(f"no weights at {path}", where=self.around.where, mend="check `weights`, or leave it out")
        return path

    @cached_property
    def _identity(self) -> dict[str, Any]:
        if self._file is None:
            return {"source": "random", "seed": RANDOM_SEED}
        source = "published" if self.model.weights is None else "local"
        return {"source": source, "file": self._file.name, "sha256": sha256_file(self._file)}

    def _build(self) -> torch.nn.Module:
        from torchvision.models import get_model

        if self._file is None:
            return random_network(lambda: get_model(self.architecture, weights=None))
        state = read_state(self._file)
        model: torch.nn.Module = get_model(self.architecture, weights=None, **_INIT.get(self.architecture, {}))
        last = list(model.state_dict())[-1]
        if last in state and len(state[last]) != len(model.state_dict()[last]):  # fine-tuned to other classes
            classes = len(state[last])
            model = get_model(self.architecture, num_classes=classes, **_INIT.get(self.architecture, {}))
        load_state(model, state, self._file, self.architecture, self.around.where)
        return model


def _architecture(name: str, where: str) -> str:
    """torchvision's name of a classification model, whatever the case in which Ducho's users write it."""
    if _is_registered(name.lower()):
        return name.lower()
    from torchvision import models

    legal = models.list_models(module=models)
    if name.lower() in legal:
        return name.lower()
    if Path(name).suffix in WEIGHT_FILES:
        raise UserError(
            f"`model_name: {name}` is a file; pickled models are not loaded (that would run their code)",
            where=where,
            mend="give the architecture (`model_name: ResNet50`) and `weights: path/to/state_dict.pth`",
        )
    raise UserError(f"torchvision has no classification model {name!r}", where=where, mend=nearest(name, legal))


def _is_registered(name: str) -> bool:
    """Whether torchvision registers a model of this name, by its sources: importing it takes seconds."""
    found = find_spec("torchvision")
    folders = list(found.submodule_search_locations or ()) if found is not None else []
    builder = re.compile(rf"^@register_model\(\)(?:\n@.*|\n    .*|\n\))*\ndef {re.escape(name)}\(", re.MULTILINE)
    return any(
        builder.search(path.read_text(encoding="utf-8"))
        for folder in folders
        for path in sorted((Path(folder) / "models").glob("*.py"))
    )


def _published_file(name: str, architecture: str, around: Surroundings) -> Path:
    import torch
    from torchvision.models import get_model_weights

    url = get_model_weights(architecture).DEFAULT.url
    file = url.rsplit("/", 1)[-1]
    cached = Path(torch.hub.get_dir()) / "checkpoints" / file
    found = find_weight_file(around.weights_root, architecture, file) or (cached if cached.is_file() else None)
    if found is not None:
        return found
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        prefix = torch.hub.HASH_REGEX.search(file)
        torch.hub.download_url_to_file(url, str(cached), hash_prefix=prefix.group(1) if prefix else None)
    except (OSError, RuntimeError) as error:  # no network, no room, or another hash
        raise published_missing(name, around.where, around.weights_root, cached, url, str(error)) from error
    return cached
