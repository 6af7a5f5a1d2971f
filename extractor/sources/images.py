"""A folder of images, `<item id>.<extension>`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from extractor.sources.base import Unusable
from extractor.sources.folder import Folder

if TYPE_CHECKING:
    from PIL.Image import Image

EXTENSIONS = frozenset({".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif"})


class ImageFolder(Folder):
    """The images of a folder."""

    extensions = EXTENSIONS
    noun, plural = "image", "images"

    def read(self, place: int) -> Image:
        """The image as RGB, whole, turned upright."""
        return read_image(self.path / self._names[place])


def read_image(path: Path) -> Image:
    """Decode an image file: first frame, upright by its EXIF mark, transparency on white, 8-bit RGB.

    Raises
    ------
    Unusable : truncated, no image, or larger than Pillow's limit against decompression bombs.
    """
    from PIL import Image as pillow
    from PIL import ImageOps

    try:
        with pillow.open(path) as image:
            if pillow.MAX_IMAGE_PIXELS and image.width * image.height > pillow.MAX_IMAGE_PIXELS:
                raise Unusable(f"{image.width} x {image.height} pixels is more than {pillow.MAX_IMAGE_PIXELS}")
            image.load()
            upright = ImageOps.exif_transpose(image)
            return _to_rgb(upright)
    except Unusable:
        raise
    except pillow.DecompressionBombError as error:
        raise Unusable(str(error)) from None
    except pillow.UnidentifiedImageError:
        empty = path.stat().st_size == 0
        raise Unusable("the file is empty" if empty else "not an image that Pillow can read") from None
    except Exception as error:
        # Pillow's decoders raise nearly anything on broken bytes (OSError, SyntaxError, struct.error, ...)
        raise Unusable(f"{type(error).__name__}: {error}") from None


def _to_rgb(image: Image) -> Image:
    from PIL import Image as pillow

    if image.mode == "RGB":
        return image
    if image.mode.startswith("I;16"):
        return image.point(lambda value: value / 256).convert("L").convert("RGB")
    if image.mode in ("I", "F"):
        return _from_numbers(image)
    if image.has_transparency_data:
        layers = image.convert("RGBA")
        return pillow.alpha_composite(pillow.new("RGBA", layers.size, "white"), layers).convert("RGB")
    return image.convert("RGB")


def _from_numbers(image: Image) -> Image:
    """32-bit integers that hold 16-bit values as such; of other numbers nobody knows what is white."""
    low, high = (float(value) for value in image.getextrema())  # type: ignore[arg-type]
    if image.mode == "F" or low < 0 or high > 65535:
        raise Unusable(f"pixels of mode {image.mode} from {low:g} to {high:g} have no known white")
    return image.point(lambda value: value / 256).convert("L").convert("RGB")
