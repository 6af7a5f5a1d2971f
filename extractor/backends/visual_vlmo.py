"""VLMo for images alone."""

from __future__ import annotations

from extractor.backends.vlmo.encoder import VlmoEncoder
from extractor.config import VisualModel


class Backend(VlmoEncoder[VisualModel]):
    """The layers of `VlmoEncoder` that need no other side."""

    sides = ("visual",)
    uses = frozenset({"weights"})
