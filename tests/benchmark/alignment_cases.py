"""Items that are seen in several ways, and the alignment formulas in loops."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from benchmark.models.base import Features, TrainingData


def views(
    n_items: int, dims: Sequence[int], seed: int = 0, shared: int = 6, noise: float = 0.1, missing: float = 0.0
) -> dict[str, Features]:
    """Modalities a, b, .. that are linear in `shared` numbers of an item (none: independent), and in nothing else."""
    rng = np.random.default_rng(seed)
    hidden = rng.standard_normal((n_items, shared))
    made = {}
    for name, dim in zip("abcd", dims, strict=False):
        rows = hidden @ rng.standard_normal((shared, dim)) + noise * rng.standard_normal((n_items, dim)) + 3.0
        present = rng.random(n_items) >= missing
        rows[~present] = 0
        made[name] = Features(torch.from_numpy(rows.astype(np.float32)), torch.from_numpy(present))
    return made


def on(modalities: Mapping[str, Features], store: Path | None = None) -> TrainingData:
    n_items = len(next(iter(modalities.values())).values)
    return TrainingData(1, n_items, torch.tensor([0, 1]), torch.tensor([0]), modalities, store)


def literal_loss(vectors: Sequence[np.ndarray], log_scale: float, known: Sequence[np.ndarray]) -> float:
    """The contrastive loss, in loops: for each pair, cross entropies of rows and of columns against the diagonal."""

    def cosine(left: np.ndarray, right: np.ndarray) -> float:
        return float(left @ right) / math.sqrt(float(left @ left) * float(right @ right))

    pairs = []
    for one in range(len(vectors)):
        for other in range(one + 1, len(vectors)):
            items = [item for item in range(len(vectors[0])) if known[one][item] and known[other][item]]
            total = 0.0
            for i in items:
                own = math.exp(math.exp(log_scale) * cosine(vectors[one][i], vectors[other][i]))
                row = sum(math.exp(math.exp(log_scale) * cosine(vectors[one][i], vectors[other][j])) for j in items)
                column = sum(math.exp(math.exp(log_scale) * cosine(vectors[one][j], vectors[other][i])) for j in items)
                total += 0.5 * (-math.log(own / row) - math.log(own / column))
            pairs.append(total / len(items) if items else 0.0)
    return sum(pairs) / len(pairs)
