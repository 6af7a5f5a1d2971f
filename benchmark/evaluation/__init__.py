"""Scores -> ranking -> metrics."""

from benchmark.evaluation.catalogue import Catalogue
from benchmark.evaluation.evaluator import Evaluator, Measured
from benchmark.evaluation.held_out import HeldOut
from benchmark.evaluation.metrics import (
    ACCURACY,
    COMPLEX,
    METRICS,
    ComplexMetric,
    Metric,
    Sources,
    build_complex,
    complex_schema,
    find_metric,
)
from benchmark.evaluation.ranking import Ranking, rank, rank_lists, top_k

__all__ = [
    "ACCURACY",
    "COMPLEX",
    "METRICS",
    "Catalogue",
    "ComplexMetric",
    "Evaluator",
    "HeldOut",
    "Measured",
    "Metric",
    "Ranking",
    "Sources",
    "build_complex",
    "complex_schema",
    "find_metric",
    "rank",
    "rank_lists",
    "top_k",
]
