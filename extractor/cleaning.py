"""`clear_text: true`: the regular-expression cleaning that Ducho offers."""

from __future__ import annotations

import re

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_CLITICS = re.compile(r"(?<=\w)('(?:s|ve|re|d|m|ll)|n't)\b", re.IGNORECASE)


def clear_text(text: str) -> str:
    """Keep Latin letters, digits, `',.!;?()`; set punctuation and clitics apart; spell lone digits out.

    Case is kept, as in Ducho, which computes the lower-cased text and then throws it away.
    """
    text = re.sub(r"[^A-Za-z0-9',.!;?() ]", " ", text)
    text = re.sub(r"\.{2,}", ".", text)
    text = _CLITICS.sub(r" \1", text)
    text = re.sub(r"([,.!;?()])", r" \1 ", text)
    text = re.sub(r"(?<!\S)[0-9](?!\S)", lambda match: _DIGITS[int(match.group())], text)
    return re.sub(r"\s{2,}", " ", text).strip()
