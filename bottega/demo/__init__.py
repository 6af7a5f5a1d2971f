"""The demo shop: a drawn catalogue with planted taste. `catalogue` tells what can be learnt from what."""

from .attributes import SHARED, TEXTUAL, VISUAL, VOCABULARIES
from .catalogue import Catalogue, CatalogueSpec, draw
from .files import ensure, write
from .pictures import picture
from .taste import TERMS, utility
from .words import words

__all__ = [
    "SHARED",
    "TERMS",
    "TEXTUAL",
    "VISUAL",
    "VOCABULARIES",
    "Catalogue",
    "CatalogueSpec",
    "draw",
    "ensure",
    "picture",
    "utility",
    "words",
    "write",
]
