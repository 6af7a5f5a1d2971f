"""The id of an interaction: `<user>__<item>`, written so that no two pairs have one id."""

from __future__ import annotations

import re

_EDGE = re.compile(r"%|_(?=_)|(?<=_)_|^_|_$")


def pair_id(user: str, item: str) -> str:
    """`user__item`; `%`, and an underscore at an end or beside another one, are percent-encoded.

    So neither half holds `__` or touches the separator with an underscore, and the first `__` is where the
    two were joined. Most ids stay as they are.
    """
    return f"{escape_half(user)}__{escape_half(item)}"


def escape_half(half: str) -> str:
    """A user or an item as it stands in the id of a pair."""
    return _EDGE.sub(lambda found: f"%{ord(found.group()):02X}", half)


def split_pair(identifier: str) -> tuple[str, str] | None:
    """The user and the item behind an id, or None where `pair_id` cannot have written it."""
    user, _, item = (
        half.replace("%5F", "_").replace("%25", "%") if half != "__" else half for half in identifier.partition("__")
    )
    whole = bool(user and item) and pair_id(user, item) == identifier
    return (user, item) if whole else None
