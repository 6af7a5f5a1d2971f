"""Why a picture could not be had."""

from __future__ import annotations


class Miss(Exception):
    """An address gives no picture; the message is the reason.

    Parameters
    ----------
    final : asking again would give the same. Otherwise the next run asks again.
    """

    def __init__(self, why: str, final: bool = True) -> None:
        super().__init__(why)
        self.final = final


class Stopped(Exception):
    """The job is being ended; what waits gives up."""
