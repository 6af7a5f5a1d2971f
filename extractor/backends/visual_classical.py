"""Colour and gradient descriptors: image features that need no weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from extractor.backends.base import Encoder, Surroundings
from extractor.config import VisualModel
from extractor.layers import Layer, by_name
from workbench.config import nearest
from workbench.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

Floats = NDArray[np.float32]

_SIZE = 128  # pixels each way, of the whole picture and of the framed object
_FRAME = 6  # width of the border that the background is judged by
_TOLERANCE = 10.0  # Lab distance at which a pixel begins to count as something else than background
_BINS = (4, 7, 7)  # of L, a, b
_RANGES = ((0.0, 100.0), (-70.0, 70.0), (-70.0, 70.0))
_LAB_UNITS = np.array([50, 35, 35], dtype=np.float32)  # what the grid's means are measured in
_GRID = 3
_CELL = 16
_RADII = (1, 3)
_LAYERS = ("colour", "gradient", "joint")


class Backend(Encoder[VisualModel]):
    """Layers `colour`, `gradient` and `joint` of model `descriptors`.

    Where an object stands before a plain background, it is found by its distance from the colour of the
    border, and colours and gradients are taken from it alone; a picture that fills its frame is taken
    whole. Every block of a descriptor has length 1, so that none drowns the others.

    colour   : soft Lab histogram of the object (square roots), and Lab means on a 3 x 3 grid of the picture.
    gradient : histogram of oriented gradients (Dalal and Triggs, 2005) of the framed object, and local binary
               patterns (Ojala et al., 2002) at two radii for its texture.
    joint    : both, end to end.
    """

    packages = ("scikit-image", "pillow", "numpy")

    def __init__(self, model: VisualModel, around: Surroundings) -> None:
        super().__init__(model, around)
        if model.model_name != "descriptors":
            raise UserError(
                f"classical has no visual model {model.model_name!r}",
                where=around.where,
                mend=nearest(model.model_name, ["descriptors"]),
            )
        by_name(model.layer_names, _LAYERS, around.where, "descriptors")

    def recipe(self) -> dict[str, Any]:
        return {"descriptor": 1, "size": _SIZE, "bins": list(_BINS), "grid": _GRID, "radii": list(_RADII)}

    def start(self, layers: Sequence[Layer]) -> None:
        self._layers = list(layers)
        self._names = {layer.name for layer in layers}

    def prepare(self, content: Image) -> dict[str, Floats]:
        """Layer name -> (D,) float32: all the work, done in the worker."""
        from PIL import Image as pillow
        from skimage.color import rgb2lab

        small = np.asarray(content.resize((_SIZE, _SIZE), pillow.Resampling.BILINEAR, reducing_gap=2.0))
        lab = rgb2lab(small).astype(np.float32)
        mask = _foreground(lab)
        found = {}
        if self._names & {"colour", "joint"}:
            found["colour"] = _colour(lab, mask)
        if self._names & {"gradient", "joint"}:
            found["gradient"] = _gradient(content, mask)
        if "joint" in self._names:
            found["joint"] = _balanced([found["colour"], found["gradient"]])
        return {name: found[name] for name in self._names}

    def encode(self, batch: Sequence[dict[str, Floats]]) -> Mapping[Layer, np.ndarray]:
        return {layer: np.stack([found[layer.name] for found in batch]) for layer in self._layers}


def _foreground(lab: Floats) -> Floats:
    """(H, W) in [0, 1]: how far each pixel's colour is from the border's; ones where nothing stands out."""
    border = np.concatenate(
        [lab[:_FRAME].reshape(-1, 3), lab[-_FRAME:].reshape(-1, 3), lab[:, :_FRAME].reshape(-1, 3),
         lab[:, -_FRAME:].reshape(-1, 3)]
    )  # fmt: skip
    background = np.median(border, axis=0)
    # where the border itself is uneven, only what stands out from it by more than its own spread is
    # foreground
    spread = float(np.median(np.linalg.norm(border - background, axis=1)))
    distance = np.linalg.norm(lab - background, axis=2) / (_TOLERANCE + 1.5 * spread)
    mask: Floats = 1 - np.exp(-0.5 * distance**2)
    return mask if mask.mean() > 0.01 else np.ones_like(mask)


def _colour(lab: Floats, mask: Floats) -> Floats:
    histogram = np.sqrt(_soft_histogram(lab.reshape(-1, 3), mask.reshape(-1)))
    cells = np.array_split(np.arange(_SIZE), _GRID)
    grid = np.stack([lab[np.ix_(rows, columns)].mean(axis=(0, 1)) for rows in cells for columns in cells])
    return _balanced([histogram, (grid / _LAB_UNITS).ravel().astype(np.float32)])


def _soft_histogram(colours: Floats, weights: Floats) -> Floats:
    """(P, 3), (P,) weights -> histogram that sums to 1; a colour is shared by the bins around it."""
    share = weights / weights.sum()
    low, part = [], []
    for axis, ((start, end), bins) in enumerate(zip(_RANGES, _BINS, strict=True)):
        place = np.clip((colours[:, axis] - start) / (end - start), 0, 1) * (bins - 1)
        low.append(np.minimum(place.astype(np.int64), bins - 2))
        part.append(place - low[-1])
    histogram = np.zeros(int(np.prod(_BINS)))
    for corner in np.ndindex(2, 2, 2):
        index = np.ravel_multi_index([bottom + step for bottom, step in zip(low, corner, strict=True)], _BINS)
        factors = [rest if step else 1 - rest for rest, step in zip(part, corner, strict=True)]
        histogram += np.bincount(index, share * np.prod(factors, axis=0), minlength=len(histogram))
    return histogram.astype(np.float32)


def _gradient(image: Image, mask: Floats) -> Floats:
    from PIL import Image as pillow
    from skimage.feature import hog, local_binary_pattern

    box = _frame(mask, image.size)
    grey = image.convert("L").resize((_SIZE, _SIZE), pillow.Resampling.BILINEAR, box=box, reducing_gap=2.0)
    left, top, right, bottom = (value * _SIZE / side for value, side in zip(box, image.size * 2, strict=True))
    inside = pillow.fromarray(mask).resize(
        (_SIZE, _SIZE), pillow.Resampling.BILINEAR, box=(left, top, right, bottom)
    )  # (bicubic would overshoot below zero)
    weights = np.asarray(inside).ravel() + 1e-6
    levels = np.asarray(grey)
    shapes = hog(levels, orientations=8, pixels_per_cell=(_CELL, _CELL), cells_per_block=(2, 2))
    textures = [
        np.bincount(local_binary_pattern(levels, 8, radius, "uniform").ravel().astype(int), weights, minlength=10)
        for radius in _RADII
    ]
    return _balanced(
        [
            shapes.astype(np.float32),
            *(np.sqrt(texture / texture.sum()).astype(np.float32) for texture in textures),
        ]
    )


def _frame(mask: Floats, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """The box (left, top, right, bottom), in the image's pixels, that holds the foreground.

    A rectangle filled evenly reaches 1.73 standard deviations from its middle; a little air is left around
    it.
    """
    reach = []
    for axis, length in ((0, size[0]), (1, size[1])):
        profile = mask.sum(axis=axis)
        places = (np.arange(_SIZE) + 0.5) / _SIZE
        middle = float((profile * places).sum() / profile.sum())
        spread = float(np.sqrt((profile * (places - middle) ** 2).sum() / profile.sum()))
        half = max(2.1 * spread, 0.05)
        reach.append((max(middle - half, 0.0) * length, min(middle + half, 1.0) * length))
    (left, right), (top, bottom) = reach
    return left, top, right, bottom


def _balanced(blocks: Sequence[Floats]) -> Floats:
    """The blocks end to end, each divided by its length, the whole of length 1."""
    scaled = [block / max(float(np.linalg.norm(block)), 1e-6) for block in blocks]
    return (np.concatenate(scaled) / np.sqrt(len(scaled))).astype(np.float32)
