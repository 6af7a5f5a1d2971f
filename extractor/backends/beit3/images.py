"""The image transform of BEiT-3 and VLMo: squeezed to a square, [0, 1], normalised."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from extractor.config import IMAGENET_MEAN, IMAGENET_STD

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image


class Moments(NamedTuple):
    """Mean and standard deviation that pixels in [0, 1] are normalised with, for red, green and blue."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


HALVES = Moments((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
IMAGENET = Moments(IMAGENET_MEAN, IMAGENET_STD)


def as_square(image: Image, edge: int) -> np.ndarray:
    """(edge, edge, 3) uint8: bicubic, the proportions are not kept and nothing is cropped."""
    from PIL import Image as pillow

    if image.size != (edge, edge):
        image = image.resize((edge, edge), pillow.Resampling.BICUBIC)
    return np.asarray(image)


def as_tensor(images: np.ndarray, moments: Moments, device: torch.device) -> torch.Tensor:
    """(B, P, P, 3) uint8 -> (B, 3, P, P) float32, normalised."""
    import torch

    pixels = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float().div_(255)
    mean, std = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in moments)
    return pixels.sub_(mean).div_(std)
