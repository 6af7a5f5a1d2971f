"""The registry of backends: (modality, name) -> module, loaded when a configuration names it.

To add one: a module here with a class `Backend(Encoder)`, and its line in `REGISTRY`.
"""

from __future__ import annotations

from importlib import import_module

from extractor.backends.base import Encoder
from workbench.config import nearest
from workbench.errors import UserError

REGISTRY = {
    ("visual", "torch"): "visual_torch",
    ("visual", "classical"): "visual_classical",
    ("textual", "sentence_transformers"): "textual_sentence_transformers",
    ("textual", "classical"): "textual_classical",
    ("visual_textual", "transformers"): "joined_transformers",
}


def find_backend(modality: str, name: str, where: str) -> type[Encoder]:
    """The encoder class of a backend.

    Raises
    ------
    UserError : the modality has no backend of that name; the nearest is named.
    """
    module = REGISTRY.get((modality, name))
    if module is None:
        legal = [backend for kind, backend in REGISTRY if kind == modality]
        raise UserError(f"no backend {name!r} for {modality} items", where=where, mend=nearest(name, legal))
    backend: type[Encoder] = import_module(f"extractor.backends.{module}").Backend
    return backend
