"""What there is to extract from: items, each with an id, a place and a mark of its content."""

from extractor.sources.base import Note, Source, Unusable
from extractor.sources.images import ImageFolder
from extractor.sources.joined import JoinedSource
from extractor.sources.texts import TextFile

__all__ = ["ImageFolder", "JoinedSource", "Note", "Source", "TextFile", "Unusable"]
