"""BEiT-3 for images and texts, alone and together."""

from __future__ import annotations

from extractor.backends.beit3.encoder import Beit3Encoder
from extractor.config import JoinedModel


class Backend(Beit3Encoder[JoinedModel]):
    """The layers of `Beit3Encoder`, of both sides."""

    sides = ("visual", "textual")
    uses = frozenset({"weights", "tokenizer_name", "reshape"})
    packages = ("torch", "sentencepiece", "pillow", "numpy")
