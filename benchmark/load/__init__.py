"""What an experiment file names, read: interactions and features."""

from benchmark.load.features import load_modalities
from benchmark.load.interactions import load_dataset, warn_of_changes

__all__ = ["load_dataset", "load_modalities", "warn_of_changes"]
