"""What an experiment file names, read: interactions and features."""

from benchmark.load.features import load_features
from benchmark.load.interactions import check_sources, load_splits, warn_of_changes

__all__ = ["check_sources", "load_features", "load_splits", "warn_of_changes"]
