"""Small pictures of items, within a page."""

from __future__ import annotations

import base64
import io
import os
import warnings
from collections.abc import Iterable
from pathlib import Path

from workbench.files import escape_id

SIDE = 96  # pixels of the longer side
LARGEST = 10_000  # bytes of one
ROOM = 1_200_000  # characters of all
_QUALITIES = (82, 70, 55, 40, 25)


def thumbnails(folder: Path | None, items: Iterable[str], room: int = ROOM) -> dict[str, str]:
    """Item -> `data:` address of a JPEG, of those that have a readable picture `<escaped id>.<extension>`.

    Parameters
    ----------
    folder : of pictures; without one there are none.
    items : the first ones come first where not all fit.
    room : characters of all addresses together.
    """
    if folder is None or not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:
        files = {Path(entry.name).stem: entry.name for entry in sorted(entries, key=lambda entry: entry.name)}
    found: dict[str, str] = {}
    for item in dict.fromkeys(items):
        name = files.get(escape_id(item)) if item else None
        small = _small(folder / name) if name is not None else None
        if small is None:
            continue
        address = "data:image/jpeg;base64," + base64.b64encode(small).decode()
        room -= len(address)
        if room < 0:
            break
        found[item] = address
    return found


def _small(path: Path) -> bytes | None:
    """A JPEG of at most 10 kB; None where the file is no picture."""
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as opened:
                opened.draft("RGB", (2 * SIDE, 2 * SIDE))
                picture = ImageOps.exif_transpose(opened).convert("RGBA")
    except Exception:  # whatever a broken file makes a decoder raise: the item is shown by its id
        return None
    picture.thumbnail((SIDE, SIDE))
    ground = Image.new("RGB", picture.size, "white")
    ground.paste(picture, mask=picture.getchannel("A"))
    for quality in _QUALITIES:
        buffer = io.BytesIO()
        ground.save(buffer, "JPEG", quality=quality, optimize=True)
        if buffer.tell() <= LARGEST:
            return buffer.getvalue()
    return None
