"""Splitters: which interactions are held out. Each is one file with one rule."""

from benchmark.data.splitters.base import Parts, Splitter, split
from benchmark.data.splitters.random import RandomSubsampling
from benchmark.data.splitters.temporal import FixedTimestamp, TemporalHoldOut

__all__ = ["FixedTimestamp", "Parts", "RandomSubsampling", "Splitter", "TemporalHoldOut", "split"]
