"""A tiny graph with features, and models on it in double precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from benchmark.models.base import Features, Recommender, TrainingData
from benchmark.models.registry import find_model
from benchmark.models.samplers import Triples
from workbench.runtime import seed_everything

ITEMS_OF = [[0, 3], [1], [2, 3, 4], [0, 5]]
N_ITEMS = 6
BATCH = Triples(torch.tensor([0, 2, 2, 1, 3, 0]), torch.tensor([3, 2, 4, 1, 0, 0]), torch.tensor([1, 0, 5, 4, 4, 5]))


def features(dims: dict[str, int]) -> dict[str, np.ndarray]:
    """Features (6, D) of each modality; the last item of each has none, and its row is zero."""
    rng = np.random.default_rng(11)
    made = {name: rng.standard_normal((N_ITEMS, dim)).astype(np.float32) for name, dim in dims.items()}
    for values in made.values():
        values[-1] = 0
    return made


def graph(dims: dict[str, int] | None = None) -> TrainingData:
    """Four users, six items; users without items do not occur in training parts."""
    present = torch.tensor([True] * (N_ITEMS - 1) + [False])
    loaded = {name: Features(torch.from_numpy(values), present) for name, values in features(dims or {}).items()}
    indptr = torch.tensor([0, *np.cumsum([len(items) for items in ITEMS_OF])])
    items = torch.tensor([item for items in ITEMS_OF for item in items])
    return TrainingData(len(ITEMS_OF), N_ITEMS, indptr, items, loaded)


def make(name: str, data: TrainingData, **params: Any) -> Any:
    """A model with weights from its seed."""
    model: type[Recommender] = find_model(name)
    checked = model.Params(**params)
    seed_everything(checked.seed)
    return model(checked, data)


def dense(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().numpy().astype(np.float64)
