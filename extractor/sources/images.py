"""A folder of images, `<item id>.<extension>`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from loguru import logger

from extractor.sources.base import Source, Unusable, no_such_path
from workbench.errors import UserError
from workbench.files import unescape_name

if TYPE_CHECKING:
    from PIL.Image import Image

EXTENSIONS = frozenset({".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif"})


class ImageFolder(Source):
    """The images of a folder, sorted by item id.

    The id is the file name without its last extension, so that ids with dots survive; a name that the
    workbench has escaped (`%2E.%2Fx.jpg`) is the id that it stands for. Hidden files and files that are no
    images are left aside.

    Raises
    ------
    UserError : no such folder, no image in it, or two files for one id.
    """

    def __init__(self, path: Path, where: str) -> None:
        if not path.is_dir():
            raise no_such_path(path, where, "folder of images")
        self.path = path
        found: dict[str, tuple[str, str]] = {}
        skipped: list[str] = []
        with os.scandir(path) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if not _is_image(entry):
                    skipped.append(entry.name)
                    continue
                item = unescape_name(os.path.splitext(entry.name)[0])  # noqa: PTH122 (`Path.stem` of `.jpg` is `.jpg`)
                if item in found:
                    raise UserError(
                        f"{found[item][0]} and {entry.name} are both images of item {item!r}",
                        where=path,
                        mend="keep one of them",
                    )
                status = entry.stat()
                found[item] = (entry.name, f"{entry.name}\t{status.st_size}\t{status.st_mtime_ns}")
        if skipped:
            shown = ascii(skipped[0]) if len(skipped) == 1 else f"{skipped[0]!a} and {len(skipped) - 1} more"
            logger.info("{}: left aside what is no image: {}", path, shown)
        if not found:
            raise UserError("no image in this folder", where=path, mend=f"known are: {', '.join(sorted(EXTENSIONS))}")
        self.ids: Sequence[str] = sorted(found)
        self._names = [found[item][0] for item in self.ids]
        self._marks = [found[item][1] for item in self.ids]

    def read(self, place: int) -> Image:
        """The image as RGB, whole, turned upright."""
        return read_image(self.path / self._names[place])

    def file(self, place: int) -> str:
        return str(self.path / self._names[place])

    def mark(self, place: int) -> str:
        return self._marks[place]


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
    if image.has_transparency_data:
        layers = image.convert("RGBA")
        return pillow.alpha_composite(pillow.new("RGBA", layers.size, "white"), layers).convert("RGB")
    return image.convert("RGB")


def _is_image(entry: os.DirEntry[str]) -> bool:
    name, extension = os.path.splitext(entry.name)  # noqa: PTH122
    try:
        entry.name.encode()
    except UnicodeEncodeError:  # bytes that are no UTF-8 cannot stand in a manifest
        return False
    return bool(name) and not name.startswith(".") and extension.lower() in EXTENSIONS and entry.is_file()
