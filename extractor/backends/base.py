"""What a backend is given and owes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import numpy as np

from extractor.config import ModelSettings
from extractor.layers import Layer
from workbench.runtime import pick_device

if TYPE_CHECKING:
    import torch

ModelT = TypeVar("ModelT", bound=ModelSettings)


@dataclass(frozen=True)
class Surroundings:
    """What a backend may know beside its own block of the configuration.

    Attributes
    ----------
    where : `file:line` of the block, for messages.
    weights_root : folder of local weights, or None.
    gpu : number of the GPU; -1 for the CPU.
    modality : of the source: `visual`, `audio_textual`, ...
    """

    where: str
    weights_root: Path | None = None
    gpu: int = -1
    modality: str = ""


class Encoder(ABC, Generic[ModelT]):
    """One backbone.

    Made cheaply (the constructor finds weights and checks keys, it loads nothing), so that a run with
    nothing to do does not pay for the backbone; `start` loads it.

    Attributes
    ----------
    uses : the optional keys that the backend reads; any other that is set is refused.
    packages : distributions whose versions belong in the manifest.
    fills_cpu : `encode` computes on all cores; decoding pauses meanwhile.
    chunk : items handed to `encode` at once.
    """

    uses: ClassVar[frozenset[str]] = frozenset()
    packages: tuple[str, ...] = ()
    fills_cpu = True

    def __init__(self, model: ModelT, around: Surroundings) -> None:
        self.model = model
        self.around = around
        self.chunk = model.batch_size

    @abstractmethod
    def recipe(self) -> dict[str, Any]:
        """All that determines the values beside the content: weights, preprocessing, pooling. JSON-like."""

    @abstractmethod
    def start(self, layers: Sequence[Layer]) -> None:
        """Load the backbone, ready to give these layers.

        Raises
        ------
        UserError : an unknown layer, or weights that do not fit.
        """

    def fit(self, prepared: Iterable[Any]) -> None:
        """See the whole corpus once; called after `start` where `needs_corpus`."""

    needs_corpus: bool = False

    @abstractmethod
    def prepare(self, content: Any) -> Any:
        """Turn the content of one item into model input; called in worker threads, right after decoding.

        Raises
        ------
        Unusable : this backbone can make nothing of the content.
        """

    def stage(self, batch: Sequence[Any]) -> Any:
        """Get a batch ready for `encode`: where a GPU computes, called while it works on the batch before.

        Whatever is given back is what `encode` is handed.
        """
        return batch

    @abstractmethod
    def encode(self, batch: Sequence[Any]) -> Mapping[Layer, np.ndarray]:
        """One forward pass: for every layer an array (B, ...) float32, row i for `batch[i]`."""

    def networks(self) -> list[torch.nn.Module]:
        """The started modules that `compile: true` compiles; a backend that reads the key names them."""
        return []

    def describe(self) -> dict[str, Any]:
        """What is worth knowing about the loaded backbone beside the recipe, for the manifest."""
        return {}


@lru_cache
def device_of(gpu: int) -> torch.device:
    """The device for a GPU number; asked once a process, so that a missing GPU is warned of once."""
    return pick_device(gpu)


def as_rows(values: np.ndarray) -> tuple[np.ndarray, tuple[int, ...]]:
    """(B, ...) -> (B, D) float32 and the shape of one item's values with its singleton dimensions removed.

    The batch dimension is never squeezed, so one item alone gives the same row as in a batch.
    """
    shape = tuple(size for size in values.shape[1:] if size != 1)
    return np.asarray(values, dtype=np.float32).reshape(len(values), -1), shape
