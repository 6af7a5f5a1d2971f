"""What an experiment file names, read: interactions and features."""

from benchmark.load.features import load_modalities
from benchmark.load.interactions import load_splits, warn_of_changes

__all__ = ["load_modalities", "load_splits", "warn_of_changes"]
