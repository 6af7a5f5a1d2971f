"""Numbers, durations and names as a page shows them."""

from __future__ import annotations

import html
import json
import math
import re
from typing import Any

from benchmark.reports.text import shape_of

DASH = "\N{EN DASH}"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")  # also the marks that reverse a line


def figure(value: float) -> str:
    """A metric's value."""
    return f"{value:{shape_of(value)}}" if math.isfinite(value) else DASH


def number(value: float | None) -> float | None:
    """For a chart: five significant digits, None for what is not finite."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.5g}")


def amount(value: float | None) -> str:
    """A count or a physical quantity: thousands apart, one decimal below 100."""
    if value is None or not math.isfinite(value):
        return DASH
    return f"{value:,.0f}" if abs(value) >= 100 or value == round(value) else f"{value:,.1f}"


def duration(seconds: float | None) -> str:
    """`0.4 s`, `12 min 3 s`, `3 h 5 min`."""
    if seconds is None or not math.isfinite(seconds):
        return DASH
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600:,} h {whole % 3600 // 60} min"


def setting(value: Any, longest: int = 60) -> str:
    """The value of a parameter in a few characters."""
    if isinstance(value, bool) or value is None or isinstance(value, list | dict | tuple):
        text = json.dumps(value, ensure_ascii=False, default=str)
    else:
        text = f"{value:g}" if isinstance(value, float) else str(value)
    return shorten(text, longest)


def shorten(text: str, longest: int) -> str:
    """Without control characters, and with an ellipsis where it is too long."""
    text = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
    return text if len(text) <= longest else text[: longest - 1] + "\N{HORIZONTAL ELLIPSIS}"


def label(text: str, longest: int = 40) -> str:
    """Text for a chart, whose renderer reads some HTML: what users named is shown as they wrote it."""
    return html.escape(shorten(text, longest), quote=False)


def fact(value: Any) -> str:
    """A value of the protocol, or a version, as text."""
    if value is None or value == [] or value == {}:
        return DASH
    if isinstance(value, list | tuple):
        return ", ".join(fact(each) for each in value)
    if isinstance(value, dict):
        return "; ".join(f"{key}: {fact(each)}" for key, each in value.items())
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else setting(value, 500)
