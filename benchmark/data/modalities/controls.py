"""Controls: uninformative features in the place of the observed ones, the comparison that a multimodal result needs.

Only observed rows are replaced and the mask stays as it is: which items have features tells something about them, and
a control must take away the content alone.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from benchmark.data.modalities.base import draw, noise_like

Control = Literal["shuffled", "random"]


def apply_control(kind: Control, values: np.ndarray, present: np.ndarray, name: str, seed: int) -> None:
    """Replace the present rows of `values` (I, D), in place.

    `shuffled` exchanges them among the present items at random; modalities that are present at the same items are
    exchanged together, so that an item gets another item's whole content. `random` draws normal noise with the mean
    and the standard deviation of every column, for each modality its own.
    """
    if kind == "shuffled":
        rows = np.flatnonzero(present)
        values[rows] = values[np.random.default_rng(seed).permutation(rows)]
    else:
        values[present] = noise_like(values, present, int(present.sum()), draw(seed, "control", name))
