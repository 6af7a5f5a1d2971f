"""Is a difference more than chance? Over the users, over the seeds, with effect sizes, intervals and correction."""

from benchmark.evaluation.significance.comparison import (
    TESTS,
    Comparison,
    OverSeeds,
    OverUsers,
    compare,
    compare_systems,
    require_finite,
)
from benchmark.evaluation.significance.correction import holm
from benchmark.evaluation.significance.intervals import Interval

__all__ = [
    "TESTS",
    "Comparison",
    "Interval",
    "OverSeeds",
    "OverUsers",
    "compare",
    "compare_systems",
    "holm",
    "require_finite",
]
