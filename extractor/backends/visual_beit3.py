"""BEiT-3 for images alone."""

from __future__ import annotations

from extractor.backends.beit3.encoder import Beit3Encoder
from extractor.config import VisualModel


class Backend(Beit3Encoder[VisualModel]):
    """The layers of `Beit3Encoder` that need no other side."""

    sides = ("visual",)
    uses = frozenset({"weights", "reshape"})
