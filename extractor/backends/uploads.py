"""Batches of images on their way to a GPU: through pinned memory, beside what the GPU is computing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from extractor.backends.batching import by_shape

if TYPE_CHECKING:
    import torch


class Uploaded(Sequence[np.ndarray]):
    """A batch of images, of which each group of one shape is on the GPU, or on its way there."""

    def __init__(self, batch: Sequence[np.ndarray], device: torch.device) -> None:
        import torch

        self._batch = batch
        self._device = device
        self._groups: dict[tuple[int, ...], torch.Tensor] = {}
        stream = _copy_stream(device)
        for places in by_shape([image.shape for image in batch]):
            stacked = np.stack([batch[place] for place in places])
            pinned = torch.from_numpy(stacked).pin_memory()
            with torch.cuda.stream(stream):
                self._groups[tuple(places)] = pinned.to(device, non_blocking=True)
        self._arrived = torch.cuda.Event()
        self._arrived.record(stream)

    def group(self, places: Sequence[int]) -> torch.Tensor:
        """The images of one group; what is computed from them waits until they have arrived."""
        import torch

        computing = torch.cuda.current_stream(self._device)
        computing.wait_event(self._arrived)
        pixels = self._groups[tuple(places)]
        pixels.record_stream(computing)
        return pixels

    def __len__(self) -> int:
        return len(self._batch)

    @overload
    def __getitem__(self, place: int) -> np.ndarray: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[np.ndarray]: ...
    def __getitem__(self, place: Any) -> Any:
        return self._batch[place]


def upload(batch: Sequence[np.ndarray], device: torch.device) -> Sequence[np.ndarray]:
    """What an image backend's `stage` does: the batch itself for the CPU."""
    return Uploaded(batch, device) if device.type == "cuda" and batch else batch


def stacked(batch: Sequence[np.ndarray], places: Sequence[int], device: torch.device) -> torch.Tensor:
    """The images of one shape as one tensor (B, ...) on the device."""
    import torch

    if isinstance(batch, Uploaded):
        return batch.group(places)
    return torch.from_numpy(np.stack([batch[place] for place in places])).to(device)


@lru_cache
def _copy_stream(device: torch.device) -> torch.cuda.Stream:
    import torch

    return torch.cuda.Stream(device)
