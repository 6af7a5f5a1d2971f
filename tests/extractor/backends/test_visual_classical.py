from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from extractor_cases import DESCRIPTORS
from PIL import Image, ImageDraw

from extractor.backends.base import Surroundings
from extractor.backends.visual_classical import Backend
from extractor.config import VisualModel
from extractor.layers import Layer

LAYERS = [Layer("visual", name) for name in ("colour", "gradient", "joint")]


def describe(image: Image.Image) -> dict[str, Any]:
    encoder = Backend(VisualModel.model_validate(DESCRIPTORS), Surroundings("x"))
    encoder.start(LAYERS)
    found = encoder.encode([encoder.prepare(image)])
    return {layer.name: values[0] for layer, values in found.items()}


def drawn(shape: str, colour: str, background: str, left: int = 30) -> Image.Image:
    image = Image.new("RGB", (120, 120), background)
    pen = ImageDraw.Draw(image)
    box = (left, 30, left + 50, 80)
    if shape == "disc":
        pen.ellipse(box, fill=colour)
    else:
        pen.rectangle(box, fill=colour)
    return image


def test_blocks_have_equal_weight_and_the_whole_has_length_1() -> None:
    found = describe(drawn("disc", "red", "white"))
    for name in ("colour", "gradient", "joint"):
        assert np.linalg.norm(found[name]) == pytest.approx(1, abs=1e-5)
    both = np.concatenate([found["colour"], found["gradient"]])
    np.testing.assert_allclose(found["joint"], both / np.sqrt(2), atol=1e-6)


def test_colour_is_that_of_the_object_and_gradients_are_those_of_its_shape() -> None:
    reference = describe(drawn("disc", "red", "white"))
    elsewhere = describe(drawn("disc", "red", "lightgrey", left=50))
    other_colour = describe(drawn("disc", "blue", "white"))
    other_shape = describe(drawn("square", "red", "white"))

    def nearness(name: str, other: dict[str, Any]) -> float:
        return float(reference[name] @ other[name])

    assert nearness("colour", elsewhere) > nearness("colour", other_colour) + 0.2
    assert nearness("gradient", elsewhere) > nearness("gradient", other_shape) + 0.1
    assert nearness("gradient", other_colour) > nearness("gradient", other_shape)


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (640, 480)])
def test_odd_pictures_give_finite_values(size: tuple[int, int]) -> None:
    found = describe(Image.new("RGB", size, "green"))
    assert all(np.isfinite(values).all() for values in found.values())
