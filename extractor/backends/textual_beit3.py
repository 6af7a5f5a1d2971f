"""BEiT-3 for texts alone."""

from __future__ import annotations

from extractor.backends.beit3.encoder import Beit3Encoder
from extractor.config import TextualModel


class Backend(Beit3Encoder[TextualModel]):
    """The layers of `Beit3Encoder` that need no other side."""

    sides = ("textual",)
    uses = frozenset({"weights", "tokenizer_name"})
    packages = ("torch", "sentencepiece", "pillow", "numpy")
