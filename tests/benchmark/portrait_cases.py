"""Portraits as `results.json` has them, of models that never were."""

from __future__ import annotations

import math

import numpy as np

from benchmark.reports.portrait import ShownPortrait


def shown_portrait(seed: int = 0, items: int = 900, concepts: int = 7, modalities: int = 2) -> ShownPortrait:
    """Clusters in a plane; some items have no concept, and some lack a modality."""
    rng = np.random.default_rng(seed)
    groups = rng.integers(-1, concepts, items)
    centres = rng.normal(0, 3, (concepts + 1, 2))
    names = ("visual", "textual", "acoustic", "social")[:modalities]
    places: dict[str, list[list[float]]] = {}
    for name in names:
        drawn = (centres[groups] + rng.normal(0, 0.7, (items, 2))).round(4)
        drawn[rng.random(items) < 0.1] = math.nan
        places[name] = drawn.tolist()
    epochs = np.arange(1, 16)
    return ShownPortrait(
        numbers={"user independence": 0.93127, "item independence": 0.9712, "genre: adjusted Rand index": 0.41},
        curves={
            "alignment loss": (3.4 * np.exp(-epochs / 5)).tolist(),
            "visual to textual, top 1": (0.5 * (1 - np.exp(-epochs / 6))).tolist(),
            "visual to textual, top 5": (0.8 * (1 - np.exp(-epochs / 6))).tolist(),
        },
        placed=5 * items,
        items=[f"B00{place:04}" for place in range(items)],
        groups=groups.tolist() if concepts else [],
        places=places,
        tops=[[f"B00{place:04}" for place in rng.choice(60, 10, replace=False)] for _ in range(concepts)],
        captions=[f"genre: Comedy {place + 30} %" for place in range(concepts)],
    )
