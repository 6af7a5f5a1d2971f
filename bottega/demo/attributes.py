"""What an item of the demo shop can be: the attributes, their values, and the modality that shows each.

Every attribute is drawn independently of all others, so one attribute says nothing about another: a text
cannot tell the colour, a picture cannot tell the material. Only the category is in both, and no taste depends
on it.
"""

from __future__ import annotations

CATEGORY = "category"

VISUAL: dict[str, tuple[str, ...]] = {
    "colour": ("terracotta", "mustard", "sage", "teal", "navy", "plum", "rose", "charcoal"),
    "shape": ("round", "square", "slender", "squat", "flared"),
    "pattern": ("plain", "stripes", "dots", "checks", "zigzag"),
}
"""Visible in the picture, never named in the text."""

TEXTUAL: dict[str, tuple[str, ...]] = {
    "material": ("ceramic", "glass", "wood", "metal", "stone"),
    "style": ("coastal", "woodland", "folk", "retro", "celestial", "bistro"),
    "occasion": ("wedding", "housewarming", "birthday", "holidays", "graduation"),
}
"""Said in the text, never visible in the picture."""

SHARED: dict[str, tuple[str, ...]] = {
    CATEGORY: ("mug", "vase", "lamp", "clock", "jar", "teapot"),
}
"""Both visible and said."""

VOCABULARIES: dict[str, tuple[str, ...]] = {**VISUAL, **TEXTUAL, **SHARED}
