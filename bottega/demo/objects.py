"""The objects in the pictures: a body of one of the shapes, and the parts that make it a mug or a lamp.

Everything is a filled outline in local coordinates: x to the right, y downwards, the body about the origin.
The units do not matter, as every object is scaled to its picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
"""(P, 2), x and y."""
RGB = tuple[int, int, int]


@dataclass(frozen=True)
class Part:
    """A filled outline."""

    points: Points
    fill: RGB


@dataclass(frozen=True)
class Body:
    """A superellipse, |x / width|^power + |y / height|^power = 1, widened towards the top by the flare."""

    width: float
    height: float
    power: float
    flare: float

    def half_width(self, y: float) -> float:
        """Half the width at a height y."""
        inside = max(0.0, 1 - abs(y / self.height) ** self.power)
        return self.width * inside ** (1 / self.power) * (1 - self.flare * y / self.height)

    def outline(self, top: float) -> Points:
        """The outline, cut off above y = ``top``."""
        y = self.height * np.sin(np.linspace(-np.pi / 2, np.pi / 2, 60))
        y = np.concatenate([[top], y[y > top]])
        x = np.array([self.half_width(each) for each in y])
        return np.concatenate([np.stack([x, y], axis=1), np.stack([-x, y], axis=1)[::-1]])


BODIES: dict[str, Body] = {
    "round": Body(0.62, 0.62, 2.0, 0.0),
    "square": Body(0.58, 0.58, 8.0, 0.0),
    "slender": Body(0.36, 0.80, 3.0, 0.0),
    "squat": Body(0.82, 0.40, 2.6, 0.0),
    "flared": Body(0.54, 0.58, 6.0, 0.45),
}

INK: RGB = (64, 58, 56)
CORK: RGB = (196, 176, 152)
PAPER: RGB = (250, 247, 240)
LEAF: RGB = (136, 142, 124)


def build(category: str, shape: str, colour: RGB, turn: float) -> tuple[list[Part], Part, list[Part]]:
    """Parts behind the body, the body, and the parts in front, each in the order of painting.

    ``turn`` in 0..1 is left to chance: the time on a clock, the bend of a stem.
    """
    body = BODIES[shape]
    open_top = -0.82 * body.height
    behind, front = _DETAILS[category](body, open_top, colour, turn)
    top = -body.height if category in ("lamp", "clock") else open_top
    return behind, Part(body.outline(top), colour), front


Details = tuple[list[Part], list[Part]]


def _mug(body: Body, top: float, colour: RGB, turn: float) -> Details:
    return [_handle(body, colour)], _opening(body.half_width(top), top, colour)


def _vase(body: Body, top: float, colour: RGB, turn: float) -> Details:
    neck, lip = min(0.24, 0.6 * body.half_width(top)), top - 0.2
    stems: list[Part] = []
    for lean in (-0.32, 0.04, 0.36):
        bend = lean + 0.16 * (turn - 0.5)
        along = np.linspace(0, 1, 12)
        stem = np.stack([bend * along**1.6, lip + 0.1 - 0.62 * along], axis=1)
        stems.append(Part(ribbon(stem, 0.035), LEAF))
        for place, side in ((5, 1), (8, -1), (11, 1)):
            stems.append(Part(ellipse(stem[place] + [0.07 * side, -0.02], 0.1, 0.05, -0.7 * side), LEAF))
    collar = np.array([[-neck, lip], [neck, lip], [neck * 1.25, top + 0.06], [-neck * 1.25, top + 0.06]])
    return stems, [Part(collar, tinted(colour, 0.88)), *_opening(neck * 1.15, lip, colour)]


def _lamp(body: Body, top: float, colour: RGB, turn: float) -> Details:
    foot = body.height + 0.62
    pole = np.array([[0, 0], [0, foot]])
    base = np.array([[-0.34, foot], [-0.2, foot - 0.1], [0.2, foot - 0.1], [0.34, foot]])
    cord = np.stack([np.linspace(0.2, 0.62, 12), foot - 0.04 + 0.05 * np.sin(np.linspace(0, 5, 12))], axis=1)
    knob = ellipse((0, -body.height), 0.07, 0.07)
    return [
        Part(ribbon(cord, 0.03), INK),
        Part(ribbon(pole, 0.09), INK),
        Part(base, INK),
        Part(knob, INK),
    ], []


def _clock(body: Body, top: float, colour: RGB, turn: float) -> Details:
    radius = 0.64 * min(body.width, body.height)
    feet = [
        Part(ribbon(np.array([[0, 0], [side * 0.6 * body.width, body.height + 0.1]]), 0.12), INK) for side in (-1, 1)
    ]
    face = [
        Part(ellipse((0, 0), radius, radius), INK),
        Part(ellipse((0, 0), 0.9 * radius, 0.9 * radius), PAPER),
    ]
    for hour in range(12):
        spoke = _towards(hour / 12)
        face.append(Part(ribbon(np.outer([0.72, 0.82], spoke) * radius, 0.03), INK))
    hands = ((turn, 0.45, 0.065), ((12 * turn) % 1, 0.66, 0.045))
    face += [Part(ribbon(np.outer([-0.08, length], _towards(at)) * radius, thick), INK) for at, length, thick in hands]
    return feet, face


def _jar(body: Body, top: float, colour: RGB, turn: float) -> Details:
    wide = max(0.2, body.half_width(top))
    lid = np.array([[-wide * 1.06, top + 0.04], [-wide, top - 0.15], [wide, top - 0.15], [wide * 1.06, top + 0.04]])
    band = np.array(
        [
            [-wide * 1.06, top + 0.04],
            [-wide * 1.04, top - 0.02],
            [wide * 1.04, top - 0.02],
            [wide * 1.06, top + 0.04],
        ]
    )
    knob = ellipse((0, top - 0.2), 0.11, 0.09)
    return [], [Part(knob, tinted(CORK, 0.85)), Part(lid, CORK), Part(band, tinted(CORK, 0.8))]


def _teapot(body: Body, top: float, colour: RGB, turn: float) -> Details:
    shoulder = body.half_width(0.25 * body.height)
    along = np.linspace(0, 1, 14)
    spout = np.stack(
        [
            -0.8 * shoulder - (0.2 * shoulder + 0.36) * along,
            0.25 * body.height - 0.62 * body.height * along**2,
        ],
        axis=1,
    )
    wide = 0.7 * body.half_width(top)
    lid = ellipse((0, top), wide, 0.16)
    lid = lid[lid[:, 1] <= top + 0.03]
    knob = ellipse((0, top - 0.2), 0.09, 0.08)
    behind = [_handle(body, colour), Part(ribbon(spout, np.linspace(0.26, 0.13, 14)), tinted(colour, 0.9))]
    rim = Part(ellipse((0, top), body.half_width(top), 0.06), tinted(colour, 0.7))
    return behind, [rim, Part(knob, tinted(colour, 0.75)), Part(lid, tinted(colour, 0.86))]


_DETAILS = {"mug": _mug, "vase": _vase, "lamp": _lamp, "clock": _clock, "jar": _jar, "teapot": _teapot}


def _handle(body: Body, colour: RGB) -> Part:
    turn = np.linspace(-0.6 * np.pi, 0.6 * np.pi, 30)
    start = min(body.half_width(-0.4 * body.height), body.half_width(0.4 * body.height)) - 0.02
    loop = np.stack([start + 0.3 * np.cos(turn), 0.52 * body.height * np.sin(turn)], axis=1)
    return Part(ribbon(loop, 0.12), tinted(colour, 0.84))


def _opening(wide: float, y: float, colour: RGB) -> list[Part]:
    high = min(0.1, 0.3 * wide)
    rim = Part(ellipse((0, y), wide, high), tinted(colour, 1.2))
    return [rim, Part(ellipse((0, y), wide * 0.88, high * 0.72), tinted(colour, 0.5))]


def ellipse(centre: tuple[float, float] | Points, wide: float, high: float, tilt: float = 0.0) -> Points:
    """Outline of an ellipse of half axes ``wide`` and ``high``, turned by ``tilt`` radians."""
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    x, y = wide * np.cos(angle), high * np.sin(angle)
    turned = np.stack([x * np.cos(tilt) - y * np.sin(tilt), x * np.sin(tilt) + y * np.cos(tilt)], axis=1)
    return turned + np.asarray(centre)


def ribbon(path: NDArray[np.floating[Any]], thick: float | NDArray[np.floating[Any]]) -> Points:
    """Outline of a line along ``path``, ``thick`` across (a number, or one for each point)."""
    along = np.gradient(path, axis=0)
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.linalg.norm(along, axis=1, keepdims=True)
    aside = normal * np.broadcast_to(np.asarray(thick) / 2, len(path))[:, None]
    return np.concatenate([path + aside, (path - aside)[::-1]])


def tinted(colour: RGB, light: float) -> RGB:
    """The colour, lighter (above 1) or darker."""
    red, green, blue = (min(255, round(channel * light)) for channel in colour)
    return red, green, blue


def _towards(turn: float) -> Points:
    """Unit vector at a share of a full turn, clockwise from the top."""
    return np.array([np.sin(2 * np.pi * turn), -np.cos(2 * np.pi * turn)])
