"""Scores -> ranking -> metrics."""

from benchmark.evaluation.evaluator import Evaluator
from benchmark.evaluation.metrics import METRICS, find_metric
from benchmark.evaluation.ranking import HeldOut, Ranking, rank, top_k

__all__ = ["METRICS", "Evaluator", "HeldOut", "Ranking", "find_metric", "rank", "top_k"]
