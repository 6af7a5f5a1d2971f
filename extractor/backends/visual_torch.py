"""torchvision's classification models; layers by the node names of their FX graph."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from extractor.backends.base import Encoder, Surroundings, device_of
from extractor.config import IMAGENET_MEAN, IMAGENET_STD, VisualModel
from extractor.layers import Layer, nearest_layers
from extractor.weights import WEIGHT_FILES, find_weight_file, published_missing
from workbench.config import nearest
from workbench.errors import UserError
from workbench.files import sha256_file

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

RANDOM_SEED = 42  # of `weights: random`
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
        from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

        model = self._build().eval().requires_grad_(False)
        nodes = get_graph_node_names(model)[1]
        for layer in layers:
            if not any(node == layer.name or node.startswith(f"{layer.name}.") for node in nodes):
                raise UserError(
                    f"{self.model.model_name} has no layer {layer.name!r}",
                    where=self.around.where,
                    mend=nearest_layers(layer.name, nodes),
                )
        self._layers = list(layers)
        self._device = device_of(self.around.gpu)
        self.fills_cpu = self._device.type == "cpu"
        graph = create_feature_extractor(model, return_nodes={layer.name: layer.name for layer in layers})
        self._graph = graph.to(self._device, memory_format=torch.channels_last)  # half as fast again on a CPU

    def prepare(self, content: Image) -> np.ndarray:
        """(H, W, 3) uint8; what follows is cheaper on a whole batch."""
        from PIL import Image as pillow

        if self.model.reshape is not None and content.size != self.model.reshape:
            content = content.resize(self.model.reshape, pillow.Resampling.BICUBIC)
        return np.asarray(content)

    def encode(self, batch: Sequence[np.ndarray]) -> Mapping[Layer, np.ndarray]:
        by_shape: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for place, image in enumerate(batch):
            by_shape[image.shape].append(place)
        parts: dict[Layer, list[np.ndarray]] = {layer: [] for layer in self._layers}
        for places in by_shape.values():
            for layer, values in self._forward(np.stack([batch[place] for place in places])).items():
                parts[layer].append(values)
        order = np.argsort(np.concatenate(list(by_shape.values())))
        return {layer: self._join(layer, values)[order] for layer, values in parts.items()}

    def describe(self) -> dict[str, Any]:
        return {"device": str(self._device), "parameters": sum(p.numel() for p in self._graph.parameters())}

    def _forward(self, images: np.ndarray) -> dict[Layer, np.ndarray]:
        """(B, H, W, 3) uint8 -> layer -> (B, ...) float32."""
        import torch

        with torch.inference_mode():
            # B, H, W, C seen as B, C, H, W is what `channels_last` means: no copy
            pixels = torch.from_numpy(images).to(self._device).permute(0, 3, 1, 2)
            outputs = self._graph(self._scale(pixels.float().div_(255)))
        return {layer: self._values(layer, outputs[layer.name], len(images)) for layer in self._layers}

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

    def _values(self, layer: Layer, output: Any, count: int) -> np.ndarray:
        import torch

        if not isinstance(output, torch.Tensor) or output.ndim < 1 or len(output) != count:
            raise UserError(
                f"layer {layer.name!r} of {self.model.model_name} gives no row for each image",
                where=self.around.where,
                mend="choose a layer that gives a tensor (batch, ...)",
            )
        values: np.ndarray = output.float().contiguous().cpu().numpy()
        return values

    def _join(self, layer: Layer, values: list[np.ndarray]) -> np.ndarray:
        shapes = {part.shape[1:] for part in values}
        if len(shapes) > 1:
            raise UserError(
                f"layer {layer.name!r} has another shape for images of another size: {sorted(shapes)}",
                where=self.around.where,
                mend="set `reshape: [224, 224]`, or choose a layer after the pooling",
            )
        return np.concatenate(values)

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
        import torch
        from torchvision.models import get_model

        if self._file is None:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(RANDOM_SEED)
                random: torch.nn.Module = get_model(self.architecture, weights=None)
            return random
        state = _read_state(self._file)
        model: torch.nn.Module = get_model(self.architecture, weights=None, **_INIT.get(self.architecture, {}))
        last = list(model.state_dict())[-1]
        if last in state and len(state[last]) != len(model.state_dict()[last]):  # fine-tuned to other classes
            classes = len(state[last])
            model = get_model(self.architecture, num_classes=classes, **_INIT.get(self.architecture, {}))
        try:
            model.load_state_dict(state)
        except RuntimeError as error:
            problem = str(error).splitlines()[1].strip()[:200] if "\n" in str(error) else str(error)
            raise UserError(
                f"{self._file} does not fit {self.architecture}: {problem}",
                where=self.around.where,
                mend="check that `model_name` is the architecture of these weights",
            ) from None
        return model


def _architecture(name: str, where: str) -> str:
    """torchvision's name of a classification model, whatever the case in which Ducho's users write it."""
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


def _read_state(path: Path) -> dict[str, torch.Tensor]:
    """A state dict from safetensors or from a pickle of tensors only; no code of the file is run."""
    import torch

    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # broken archives and refused pickles raise many kinds
        raise UserError(
            f"not readable as a state dict: {str(error).splitlines()[0][:160]}",
            where=path,
            mend="save `model.state_dict()`, not the model; or use safetensors",
        ) from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise UserError("no state dict (names -> tensors)", where=path, mend="save `model.state_dict()`")
    return state
