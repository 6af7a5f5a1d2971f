"""Cleaning what shops write, and the one text an item is described by."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

PARTS = ("title", "brand", "categories", "features", "description")

# Elements of HTML only, so that `a <b> c` loses a tag and `5 <x and y> 3` loses nothing. No part can match twice,
# so the time is linear.
_ELEMENTS = (
    "a abbr b big blockquote body br center cite code dd del div dl dt em font footer form h1 h2 h3 h4 h5 h6 head "
    "header hr html i iframe img input ins label li link meta nav noscript ol option p pre s section select small "
    "span strike strong sub sup table tbody td tfoot th thead tr tt u ul video"
)
_TAG = re.compile(rf"</?(?:{'|'.join(_ELEMENTS.split())})(?=[\s/>])[^<>]*>", re.IGNORECASE)
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_CODE = re.compile(r"<(script|style)\b.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_CONTROL = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_NOTHING = {"nan", "n/a", "none", "null"}
_PAGE_SCRIPT = re.compile(r"getTime\(\)|\bfunction\s*\(|\bvar aPageStart\b")


def clean(value: Any) -> str:
    """A field as one line of plain text: entities resolved, tags and control characters gone, white space single.

    Anything but a string, and a string that as a whole says nothing (`nan`, `n/a`, `None`), is the empty text.
    Words that contain those letters (`banana`) are words.
    """
    if not isinstance(value, str):
        return ""
    text = html.unescape(html.unescape(value))  # the shops escape twice: `&amp;quot;`
    for pattern in (_COMMENT, _CODE, _TAG, _CONTROL):
        text = pattern.sub(" ", text)
    text = " ".join(text.split())
    return "" if text.lower() in _NOTHING else text


def clean_title(value: Any) -> str:
    """A title; the page scripts that the 2018 files have in the place of some are none."""
    return "" if isinstance(value, str) and _PAGE_SCRIPT.search(value) else clean(value)


def clean_all(values: Iterable[Any]) -> list[str]:
    """The cleaned strings that say something, each once, in order."""
    return list(dict.fromkeys(text for value in values if (text := clean(value))))


def describe(product: Mapping[str, Any], parts: Sequence[str]) -> str:
    """The text of an item: its non-empty parts in the order asked for, each a sentence.

    A part that has no closing mark gets a full stop; categories are joined by commas, features by blanks.
    """
    pieces = []
    for part in parts:
        value = product[part]
        text = value if isinstance(value, str) else (", " if part == "categories" else " ").join(value)
        if text:
            pieces.append(text if text[-1] in ".!?;:" else text + ".")
    return " ".join(pieces)
