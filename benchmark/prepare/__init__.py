"""`run_split.py`: reviews -> train / val / test, integer ids, and feature tables under those ids."""

from benchmark.prepare.layout import PARTS
from benchmark.prepare.steps import Prepared, prepare

__all__ = ["PARTS", "Prepared", "prepare"]
