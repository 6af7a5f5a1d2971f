"""Losses and regularisers, named for what they compute."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def bpr_loss(positive: Tensor, negative: Tensor) -> Tensor:
    """Mean of -log sigmoid(positive - negative) over a batch (Rendle et al., UAI 2009, eq. of section 4.1)."""
    return functional.softplus(negative - positive).mean()


def info_nce(anchors: Tensor, positives: Tensor, temperature: float, candidates: Tensor | None = None) -> Tensor:
    """Mean over b of -log( exp(cos(a_b, p_b) / t) / sum_c exp(cos(a_b, c) / t) ) (van den Oord et al., 2018).

    Parameters
    ----------
    anchors, positives : (B, F), of any length.
    candidates : (C, F), the c of the sum, among them the positives; default the positives themselves (in-batch).
    """
    anchors, positives = functional.normalize(anchors, dim=-1), functional.normalize(positives, dim=-1)
    others = positives if candidates is None else functional.normalize(candidates, dim=-1)
    agreement = (anchors * positives).sum(-1) / temperature
    return (torch.logsumexp(anchors @ others.t() / temperature, dim=-1) - agreement).mean()


def cosine_bootstrap(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean of 1 - cos(predicted, target) over (B, F); no gradient reaches the target (Grill et al., NeurIPS 2020)."""
    return 1 - functional.cosine_similarity(predicted, target.detach(), dim=-1).mean()


def half_squared_norms(*vectors: Tensor) -> Tensor:
    """Half the sum of the squared norms of all given (B, ...) tensors, divided by B."""
    total = torch.stack([vector.square().sum() for vector in vectors]).sum()
    return total / (2 * len(vectors[0]))


def frobenius_norms(*matrices: Tensor) -> Tensor:
    """Sum of the Frobenius norms, not squared, of all given (B, F) tensors, divided by B."""
    return torch.stack([torch.linalg.vector_norm(matrix) for matrix in matrices]).sum() / len(matrices[0])


def mean_squares(*tensors: Tensor) -> Tensor:
    """Sum over the given tensors of the mean of their squared entries."""
    return torch.stack([tensor.square().mean() for tensor in tensors]).sum()
