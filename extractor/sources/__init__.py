"""What there is to extract from: items, each with an id, a place and a mark of its content."""

from extractor.sources.base import Note, Source, Unusable
from extractor.sources.images import ImageFolder
from extractor.sources.joined import JoinedSource
from extractor.sources.recordings import AudioFolder, Recording, resampled
from extractor.sources.texts import InteractionFile, TextFile
from workbench.pairs import pair_id, split_pair

__all__ = [
    "AudioFolder",
    "ImageFolder",
    "InteractionFile",
    "JoinedSource",
    "Note",
    "Recording",
    "Source",
    "TextFile",
    "Unusable",
    "pair_id",
    "resampled",
    "split_pair",
]
