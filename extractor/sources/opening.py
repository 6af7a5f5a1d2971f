"""From a block of the configuration to its source."""

from __future__ import annotations

from typing import Any

from extractor.config import SIDES, Block, Config
from extractor.sources.base import Source
from extractor.sources.images import ImageFolder
from extractor.sources.joined import JoinedSource
from extractor.sources.recordings import AudioFolder
from extractor.sources.texts import InteractionFile, TextFile


def open_source(config: Config, block: Block) -> Source:
    """List the items of a block; nothing is decoded.

    Raises
    ------
    UserError : no such file, folder or column, or nothing in it.
    """
    paths: Any = block.settings.input_path
    if block.modality not in SIDES:
        return _open(config, block, block.modality, paths, config.where(*block.at, "input_path"))
    first, second = (
        _open(config, block, side, getattr(paths, side), config.where(*block.at, "input_path", side))
        for side in SIDES[block.modality]
    )
    return JoinedSource(first, second)


def _open(config: Config, block: Block, side: str, path: str, where: str) -> Source:
    settings, pairs = block.settings, block.kind == "interactions"
    if side == "visual":
        return ImageFolder(config.dataset / path, where, pairs)
    if side == "audio":
        return AudioFolder(config.dataset / path, where, pairs)
    if pairs:
        return InteractionFile(config.dataset / path, settings.interaction_columns, settings.text_column, where)
    return TextFile(config.dataset / path, settings.item_column, settings.text_column, where)
