"""VLMo for images and texts, alone and together."""

from __future__ import annotations

from extractor.backends.vlmo.encoder import VlmoEncoder
from extractor.config import JoinedModel


class Backend(VlmoEncoder[JoinedModel]):
    """The layers of `VlmoEncoder`, of both sides."""

    sides = ("visual", "textual")
    uses = frozenset({"weights", "tokenizer_name"})
    packages = ("torch", "transformers", "tokenizers", "pillow", "numpy")
