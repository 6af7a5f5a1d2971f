"""Splitters: which interactions are held out. A splitter makes one held-out part, a recipe all parts at once."""

from benchmark.data.splitters.base import (
    Cut,
    Draws,
    Held,
    Parts,
    Recipe,
    Splitter,
    hold_out,
    only_fold,
    split,
    split_folds,
)
from benchmark.data.splitters.cold import ItemColdStart, UserColdStart
from benchmark.data.splitters.cross_validation import RandomCrossValidation, RandomKFold
from benchmark.data.splitters.random import RandomHoldOut, RandomSubsampling
from benchmark.data.splitters.recipes import AlignMacridVAE, MMRec, MultVAE
from benchmark.data.splitters.temporal import FixedTimestamp, GlobalTime, LeaveOneOut, TemporalHoldOut

__all__ = [
    "AlignMacridVAE",
    "Cut",
    "Draws",
    "FixedTimestamp",
    "GlobalTime",
    "Held",
    "ItemColdStart",
    "LeaveOneOut",
    "MMRec",
    "MultVAE",
    "Parts",
    "RandomCrossValidation",
    "RandomHoldOut",
    "RandomKFold",
    "RandomSubsampling",
    "Recipe",
    "Splitter",
    "TemporalHoldOut",
    "UserColdStart",
    "hold_out",
    "only_fold",
    "split",
    "split_folds",
]
