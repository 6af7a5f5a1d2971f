"""What every model is given and owes."""

from benchmark.models.base import (
    DotProductRecommender,
    Recommender,
    TrainedRecommender,
    TrainingData,
    TrainingParams,
)
from benchmark.models.losses import bpr_loss, half_squared_norms
from benchmark.models.portrait import Portrait
from benchmark.models.samplers import Triples, UniformUserTriples

__all__ = [
    "DotProductRecommender",
    "Portrait",
    "Recommender",
    "TrainedRecommender",
    "TrainingData",
    "TrainingParams",
    "Triples",
    "UniformUserTriples",
    "bpr_loss",
    "half_squared_norms",
]
