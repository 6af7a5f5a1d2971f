"""Batches of contents that differ in size: groups that fit together, and their rows put in order again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np

from extractor.layers import Layer
from workbench.errors import UserError

Groups = list[list[int]]


def by_shape(shapes: Sequence[Hashable]) -> Groups:
    """Places with the same shape together."""
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for place, shape in enumerate(shapes):
        groups[shape].append(place)
    return list(groups.values())


def by_length(lengths: Sequence[int], size: int) -> Groups:
    """At most `size` places of similar length together: the longest first, so that what does not fit shows at once."""
    order = sorted(range(len(lengths)), key=lambda place: -lengths[place])
    return [order[start : start + size] for start in range(0, len(order), size)]


def in_groups(
    groups: Groups, forward: Callable[[list[int]], Mapping[Layer, np.ndarray]], where: str, mend: str
) -> dict[Layer, np.ndarray]:
    """Run `forward` on every group of places; the rows of all come back in the order of the places.

    Raises
    ------
    UserError : a layer has another shape for one group than for another; `mend` says what to do.
    """
    parts: dict[Layer, list[np.ndarray]] = defaultdict(list)
    for places in groups:
        for layer, values in forward(places).items():
            parts[layer].append(values)
    order = np.argsort(np.concatenate([np.asarray(places) for places in groups]))
    return {layer: _joined(layer, values, where, mend)[order] for layer, values in parts.items()}


def _joined(layer: Layer, values: list[np.ndarray], where: str, mend: str) -> np.ndarray:
    shapes = {part.shape[1:] for part in values}
    if len(shapes) > 1:
        shown = ", ".join(str(list(shape)) for shape in sorted(shapes))
        raise UserError(
            f"layer {layer.name!r} has another shape for contents of another size: {shown}", where=where, mend=mend
        )
    return np.concatenate(values)
