"""Is what came a picture? Its bytes say so, and its format decides the extension."""

from __future__ import annotations

import io
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

from bottega.amazon.miss import Miss

EXTENSIONS = {
    "JPEG": ".jpg",
    "MPO": ".jpg",
    "PNG": ".png",
    "GIF": ".gif",
    "WEBP": ".webp",
    "BMP": ".bmp",
    "TIFF": ".tif",
}
_DECODERS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF")
_SMALLEST_SIDE = 8  # pixels; below are the dots that shops send in the place of a picture
_PAGES = (b"<!doctype", b"<html", b"<head", b"<?xml", b"<error")


class Picture(NamedTuple):
    """Size in pixels, and the extension of the format."""

    extension: str
    width: int
    height: int


def examine(content: bytes, max_pixels: int) -> Picture:
    """Decode a picture whole.

    Raises
    ------
    Miss : empty, a page, another format, broken, a placeholder of a few pixels, or of more than `max_pixels`.
    """
    if not content:
        raise Miss("the answer is empty")
    if content[:256].lstrip().lower().startswith(_PAGES):
        raise Miss("a page instead of a picture")
    try:
        with Image.open(io.BytesIO(content), formats=_DECODERS) as image:
            width, height, form = image.width, image.height, image.format
            if width * height > max_pixels:
                raise Miss(f"{width} x {height} pixels are more than {max_pixels:,}")
            if min(width, height) < _SMALLEST_SIDE:
                raise Miss(f"{width} x {height} pixels: a placeholder")
            image.load()
    except Miss:
        raise
    except UnidentifiedImageError:
        raise Miss(f"not a picture of a known format ({', '.join(_DECODERS)})") from None
    except Exception as error:
        # Pillow's decoders raise nearly anything on broken bytes (OSError, SyntaxError, struct.error, ...)
        raise Miss(f"the picture is broken: {type(error).__name__}: {error}") from None
    return Picture(EXTENSIONS[form or ""], width, height)
