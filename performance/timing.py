"""Ratios measured in one run: the contestants take turns, and the best round of each counts."""

from __future__ import annotations

import time
from collections.abc import Callable


def best_seconds(contestants: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Least seconds of each contestant over `rounds` rounds, after one round that warms up."""
    best = dict.fromkeys(contestants, float("inf"))
    for turn in range(rounds + 1):
        for name, run in contestants.items():
            started = time.perf_counter()
            run()
            seconds = time.perf_counter() - started
            if turn:
                best[name] = min(best[name], seconds)
    return best
