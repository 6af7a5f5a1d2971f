"""What a model shows of itself, as plain data: drawn when the test part is opened, kept with the figures."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.numbers import Number


@dataclass(frozen=True)
class ShownPortrait:
    """A portrait under raw ids; see `benchmark.models.portrait.Portrait`.

    Attributes
    ----------
    numbers, curves : name -> value, and values of epoch 1, 2, ...
    placed : how many items have a place on the map; those that are kept are a sample.
    items : raw ids of the kept ones, P of them, in an order in which every beginning is a sample of all concepts.
    groups : their concepts, -1 for none; empty where there are no concepts.
    places : name of a modality -> P pairs of coordinates, NaN where an item has none.
    tops : of each concept, raw ids of its most typical items, best first.
    captions : of each concept, what it agrees with best, for each grouping of items that the file names.
    """

    numbers: dict[str, Number]
    curves: dict[str, list[Number]]
    placed: int
    items: list[str]
    groups: list[int]
    places: dict[str, list[list[Number]]]
    tops: list[list[str]]
    captions: list[str]
