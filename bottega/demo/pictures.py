"""Pictures of the items: colour, shape, pattern and category can be seen, and nothing else that matters.

Each picture varies in what carries no taste: place, size, tilt, light, background, the scale and the ink of
the pattern, and grain. Outlines are drawn with Pillow at several times the size and reduced, which smooths
them; colour, pattern and light are laid in with numpy at the final size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw

from .attributes import CATEGORY, VISUAL
from .catalogue import Catalogue
from .objects import RGB, Part, Points, build, tinted

Array = NDArray[np.float64]

_STREAM = 50
_OVERSAMPLING = 3

PALETTE: dict[str, RGB] = {
    "terracotta": (202, 98, 62),
    "mustard": (228, 176, 46),
    "sage": (112, 160, 98),
    "teal": (34, 146, 148),
    "navy": (46, 72, 140),
    "plum": (130, 62, 124),
    "rose": (232, 130, 156),
    "charcoal": (72, 72, 78),
}
"""Red, green, blue in 0..255."""

WALLS = ("#f6f1e8", "#eef0f1", "#f1ecf0", "#ecf1ec", "#f4eee4", "#faf9f6")
CREAM = np.array([252.0, 247.0, 236.0])


def picture(catalogue: Catalogue, item: int) -> Image.Image:
    """Picture of one item, RGB, ``picture_size`` pixels each way; the same for the same spec."""
    spec = catalogue.spec
    rng = np.random.default_rng([spec.seed, _STREAM, item])
    seen = {name: catalogue.vocabularies[name][catalogue.attributes[name][item]] for name in (*VISUAL, CATEGORY)}
    colour = _jitter(rng, PALETTE[seen["colour"]])
    behind, body, front = build(seen[CATEGORY], seen["shape"], colour, turn=rng.uniform())
    place = Placement.draw(rng, [*behind, body, *front], spec.picture_size)

    scene = _room(rng, place, spec.picture_size)
    # A darker edge, as where a glaze turns away, keeps pale patterns apart from pale walls.
    edge = Part(body.points * 1.035, tinted(colour, 0.72))
    scene = _paint(scene, place.layer([*behind, edge]))
    mask = place.layer([body])[..., 3:]
    scene = scene * (1 - mask) + _surface(rng, seen["pattern"], colour, place, body) * mask
    scene = _paint(scene, place.layer(front))
    scene = scene * rng.uniform(0.94, 1.03) + rng.normal(0, 2.0, size=(*scene.shape[:2], 1))
    return Image.fromarray(np.clip(np.rint(scene), 0, 255).astype(np.uint8))


@dataclass(frozen=True)
class Placement:
    """Where an object stands in its picture: pixel = scale * turned(local) + shift."""

    size: int
    scale: float
    tilt: float
    shift: Array
    floor: float
    """Lowest pixel row of the object."""
    span: tuple[float, float]
    """Leftmost and rightmost pixel of the object."""

    @classmethod
    def draw(cls, rng: np.random.Generator, parts: list[Part], size: int) -> Placement:
        """Place the object at random, all of it inside the picture."""
        tilt = float(np.deg2rad(rng.uniform(-6, 6)))
        points = np.concatenate([part.points for part in parts]) @ _rotation(tilt).T
        low, high = points.min(axis=0), points.max(axis=0)
        scale = size * rng.uniform(0.70, 0.84) / float((high - low).max())
        middle = size * (0.5 + rng.uniform(-0.05, 0.05, size=2))
        shift = middle - scale * (low + high) / 2
        left, floor, right = low[0] * scale + shift[0], high[1] * scale + shift[1], high[0] * scale + shift[0]
        return cls(size, scale, tilt, shift, float(floor), (float(left), float(right)))

    def layer(self, parts: list[Part]) -> Array:
        """The parts painted one over the other: (S, S, 4), colour times alpha, and alpha in 0..1."""
        canvas = Image.new("RGBA", (self.size * _OVERSAMPLING,) * 2, (0, 0, 0, 0))
        brush = ImageDraw.Draw(canvas)
        for part in parts:
            corners = self._pixels(part.points)
            brush.polygon([(x, y) for x, y in corners.tolist()], fill=(*part.fill, 255))
        layer = np.asarray(canvas.convert("RGBa").reduce(_OVERSAMPLING), dtype=np.float64)
        return np.concatenate([layer[..., :3], layer[..., 3:] / 255], axis=2)

    def _pixels(self, points: Points) -> Points:
        return (self.scale * points @ _rotation(self.tilt).T + self.shift) * _OVERSAMPLING

    def grid(self) -> tuple[Array, Array]:
        """Local x and y of every pixel, (S, S) each."""
        row, column = np.mgrid[: self.size, : self.size] + 0.5
        local = (np.stack([column, row], axis=-1) - self.shift) / self.scale @ _rotation(self.tilt)
        return local[..., 0], local[..., 1]


def _rotation(tilt: float) -> Array:
    return np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])


def _jitter(rng: np.random.Generator, colour: RGB) -> RGB:
    """The colour as a slightly different batch of paint: brightness, and each channel a little."""
    paint = np.array(colour) * rng.uniform(0.9, 1.1) + rng.normal(0, 5, size=3)
    red, green, blue = np.clip(paint, 0, 255).astype(int).tolist()
    return red, green, blue


def _room(rng: np.random.Generator, place: Placement, size: int) -> Array:
    """A pale wall above a pale table, with the object's shadow: (S, S, 3)."""
    wall = np.array(ImageColor.getrgb(WALLS[rng.integers(len(WALLS))]), dtype=np.float64)
    row, column = np.mgrid[:size, :size] + 0.5
    edge = place.floor - size * rng.uniform(0.06, 0.16)
    table = 1 / (1 + np.exp(-(row - edge) * 128 / size))
    light = 1.01 - 0.05 * row / size - rng.uniform(0, 0.05) * column / size - 0.07 * table
    left, right = place.span
    across = (column - (left + right) / 2 - 0.03 * size) / (0.5 * (right - left))
    shadow = 0.3 * np.exp(-(across**4) - ((row - place.floor) / (0.035 * size)) ** 2)
    return wall * (light * (1 - shadow))[..., None]


def _paint(scene: Array, layer: Array) -> Array:
    return scene * (1 - layer[..., 3:]) + layer[..., :3]


def _surface(rng: np.random.Generator, pattern: str, colour: RGB, place: Placement, body: Part) -> Array:
    """Glaze of the body at every pixel: pattern, shade towards the edges, and a gloss: (S, S, 3)."""
    x, y = place.grid()
    half = body.points[:, 0].max()
    cover = _pattern(rng, pattern, x, y, sharpness=place.scale)[..., None]
    ground = np.array(colour, dtype=np.float64)
    # Mostly a pale ink; sometimes a darker shade of the ground.
    ink = 0.15 * ground + 0.85 * CREAM if rng.uniform() < 0.75 else 0.5 * ground
    light = 1.08 - 0.24 * np.clip((x / half + 0.35) / 1.35, -1, 1) ** 2 - 0.06 * y
    gloss = 30 * np.exp(-(((x / half + 0.45) / 0.14) ** 2) - ((y + 0.1) / 0.4) ** 2)
    return (ground * (1 - cover) + ink * cover) * light[..., None] + gloss[..., None]


def _pattern(rng: np.random.Generator, pattern: str, x: Array, y: Array, sharpness: float) -> Array:
    """Cover of the ink at every pixel, (S, S) in 0..1; ``sharpness`` is the pixels in a unit of length."""
    turn = rng.normal(0, 0.08)
    x, y = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
    period = rng.uniform(0.25, 0.33)
    start = rng.uniform(0, period, size=2)
    if pattern == "plain":
        return np.zeros_like(x)
    if pattern == "stripes":
        depth = _from_line(x + start[0], period) - period * 0.27
    elif pattern == "checks":
        depth = np.minimum(_from_line(x + start[0], period), _from_line(y + start[1], period)) - period * 0.14
    elif pattern == "dots":
        # Two interleaved grids; the nearest centre of either counts.
        grids = [
            np.hypot(_from_line(x + start[0] + move, 1.3 * period), _from_line(y + start[1] + move, 1.3 * period))
            for move in (0.0, 0.65 * period)
        ]
        depth = np.minimum(*grids) - 0.28 * period
    else:
        wave = _from_line(x + start[0], 1.3 * period) * 0.9
        depth = (_from_line(y + start[1] + wave, period) - period * 0.2) * 0.75
    return np.clip(0.5 - depth * sharpness, 0, 1)


def _from_line(position: Array, period: float) -> Array:
    """Distance to the nearest of lines one ``period`` apart."""
    return np.abs((position + period / 2) % period - period / 2)
