"""Metrics: without arguments in `METRICS`, by name; with arguments in `COMPLEX`, the settings class of each."""

from benchmark.evaluation.metrics import accuracy, full, diversity, novelty, popularity  # isort: skip - printed so
from benchmark.evaluation.metrics.complex import ComplexMetric, Sources, build_complex, complex_schema
from benchmark.evaluation.metrics.registry import COMPLEX, METRICS, Metric, better, find_metric

ACCURACY = [name for name, metric in METRICS.items() if metric.formula.__module__ == accuracy.__name__]
"""Names of the metrics that compare a user's list with the relevant items and need nothing else."""

__all__ = [
    "ACCURACY",
    "COMPLEX",
    "METRICS",
    "ComplexMetric",
    "Metric",
    "Sources",
    "accuracy",
    "better",
    "build_complex",
    "complex_schema",
    "diversity",
    "find_metric",
    "full",
    "novelty",
    "popularity",
]
