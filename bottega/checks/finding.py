"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mark = Literal["✓", "!", "✗"]


@dataclass(frozen=True)
class Finding:
    """One line of `bottega doctor`.

    Attributes
    ----------
    mark : ✓ sound, ! works with a limit, ✗ something will fail.
    subject, text : what was looked at, and what was found.
    mend : what to do; empty where nothing is to be done.
    """

    mark: Mark
    subject: str
    text: str
    mend: str = ""
