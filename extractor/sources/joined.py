"""Images and texts of the same items, paired by id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loguru import logger

from extractor.sources.base import Note, Source
from extractor.sources.images import ImageFolder
from extractor.sources.texts import TextFile
from workbench.errors import UserError


class JoinedSource(Source):
    """The items that have both an image and a text; the others are counted and listed in `left_out`.

    Raises
    ------
    UserError : no item has both.
    """

    def __init__(self, images: ImageFolder, texts: TextFile) -> None:
        self.path = images.path
        self._images, self._texts = images, texts
        text_place = {item: place for place, item in enumerate(texts.ids)}
        self._pairs = [(place, text_place[item]) for place, item in enumerate(images.ids) if item in text_place]
        if not self._pairs:
            raise UserError(
                f"no item has both an image and a text: images are called {images.ids[0]!r}, ..., "
                f"items of {texts.path} {texts.ids[0]!r}, ...",
                where=images.path,
                mend="name the images after the item ids",
            )
        self.ids: Sequence[str] = [images.ids[place] for place, _ in self._pairs]
        paired = set(self.ids)
        no_text = [
            Note(item, images.file(place), "no text for this image")
            for place, item in enumerate(images.ids)
            if item not in paired
        ]
        no_image = [
            Note(item, texts.file(place), "no image for this text")
            for place, item in enumerate(texts.ids)
            if item not in paired
        ]
        self.left_out = no_text + no_image
        if self.left_out:
            logger.warning(
                "{} items have an image and a text; {} images have no text, {} texts have no image",
                len(self.ids), len(no_text), len(no_image),
            )  # fmt: skip

    def read(self, place: int) -> tuple[Any, str]:
        """The (image, text) of one item."""
        image, text = self._pairs[place]
        return self._images.read(image), self._texts.read(text)

    def file(self, place: int) -> str:
        image, text = self._pairs[place]
        return f"{self._images.file(image)} + {self._texts.file(text)}"

    def mark(self, place: int) -> str:
        image, text = self._pairs[place]
        return f"{self._images.mark(image)}\t{self._texts.mark(text)}"
