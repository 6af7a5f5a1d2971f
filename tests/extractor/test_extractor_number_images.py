"""Images whose pixels are numbers wider than a byte."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from extractor.sources import Unusable
from extractor.sources.images import read_image


def test_sixteen_bits_in_a_wider_integer_are_scaled_not_clipped(tmp_path: Path) -> None:
    values = np.array([[0, 256, 32768, 65535]], dtype=np.int32)
    Image.fromarray(values).save(tmp_path / "a.tif")
    assert Image.open(tmp_path / "a.tif").mode == "I"
    assert np.asarray(read_image(tmp_path / "a.tif"))[0, :, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize("values", [np.array([[0.0, 1.0]], np.float32), np.array([[-5, 70000]], np.int32)])
def test_numbers_without_a_known_white_are_refused_with_their_range(tmp_path: Path, values: np.ndarray) -> None:
    Image.fromarray(values).save(tmp_path / "a.tif")
    with pytest.raises(Unusable, match="no known white"):
        read_image(tmp_path / "a.tif")
