"""VLMo for texts alone."""

from __future__ import annotations

from extractor.backends.vlmo.encoder import VlmoEncoder
from extractor.config import TextualModel


class Backend(VlmoEncoder[TextualModel]):
    """The layers of `VlmoEncoder` that need no other side."""

    sides = ("textual",)
    uses = frozenset({"weights", "tokenizer_name"})
    packages = ("torch", "transformers", "tokenizers", "pillow", "numpy")
