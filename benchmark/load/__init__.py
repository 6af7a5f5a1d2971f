"""What an experiment file names, read: interactions and features."""

from benchmark.load.features import load_features
from benchmark.load.interactions import load_splits, warn_of_changes

__all__ = ["load_features", "load_splits", "warn_of_changes"]
