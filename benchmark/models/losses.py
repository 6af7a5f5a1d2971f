"""Losses and regularisers, named for what they compute."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def bpr_loss(positive: Tensor, negative: Tensor) -> Tensor:
    """Mean of -log sigmoid(positive - negative) over a batch (Rendle et al., UAI 2009, eq. of section 4.1)."""
    return functional.softplus(negative - positive).mean()


def half_squared_norms(*vectors: Tensor) -> Tensor:
    """Half the sum of the squared norms of all given (B, ...) tensors, divided by B."""
    total = torch.stack([vector.square().sum() for vector in vectors]).sum()
    return total / (2 * len(vectors[0]))
