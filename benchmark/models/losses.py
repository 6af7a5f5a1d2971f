"""Losses and regularisers, named for what they compute; never in half precision, whatever autocast made of vectors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from benchmark.models.blocks import row_blocks
from benchmark.models.precision import single_or_more


def bpr_loss(positive: Tensor, negative: Tensor, counted: Tensor | None = None) -> Tensor:
    """Mean of -log sigmoid(positive - negative) over a batch (Rendle et al., UAI 2009, eq. of section 4.1).

    Where `counted` (B,) bool is False the term is 0, though it counts in B.
    """
    terms = functional.softplus(single_or_more(negative) - single_or_more(positive))
    return (terms if counted is None else terms * counted).mean()


def info_nce(
    anchors: Tensor,
    positives: Tensor,
    temperature: float,
    candidates: Tensor | None = None,
    counted: Tensor | None = None,
    own_negatives: Tensor | None = None,
) -> Tensor:
    """Mean over b of -log( exp(cos(a_b, p_b) / t) / sum_c exp(cos(a_b, c) / t) ) (van den Oord et al., 2018).

    Where `counted` (B,) bool is False the term is 0, though it counts in B.

    Parameters
    ----------
    anchors, positives : (B, F), of any length.
    candidates : (C, F), the c of the sum, among them the positives; default the positives themselves (in-batch).
    own_negatives : (B, F), one c more for each b.
    """
    with torch.autocast(anchors.device.type, enabled=False):  # half precision would blur what the temperature spreads
        anchors, positives = (functional.normalize(single_or_more(each), dim=-1) for each in (anchors, positives))
        others = positives if candidates is None else functional.normalize(single_or_more(candidates), dim=-1)
        anchors = anchors / temperature
        total = log_sum_exp_of_products(anchors, others)
        if own_negatives is not None:
            own = functional.normalize(single_or_more(own_negatives), dim=-1)
            total = torch.logaddexp(total, (anchors * own).sum(-1))
        terms = total - (anchors * positives).sum(-1)
        return (terms if counted is None else terms * counted).mean()


def log_sum_exp_of_products(rows: Tensor, others: Tensor) -> Tensor:
    """(B,): log sum over c of exp(r_b . o_c), rows (B, F) and others (C, F).

    The products of some rows are computed, reduced and thrown away, and once more for the gradient: nothing of size
    B x C exists.
    """
    return _LogSumExpOfProducts.apply(rows, others)


def cosine_bootstrap(predicted: Tensor, target: Tensor, counted: Tensor | None = None) -> Tensor:
    """Mean of 1 - cos(predicted, target) over (B, F); no gradient reaches the target (Grill et al., NeurIPS 2020).

    Where `counted` (B,) bool is False the term is 0, though it counts in B.
    """
    predicted, target = single_or_more(predicted), single_or_more(target.detach())
    terms = 1 - functional.cosine_similarity(predicted, target, dim=-1)
    return (terms if counted is None else terms * counted).mean()


def half_squared_norms(*vectors: Tensor) -> Tensor:
    """Half the sum of the squared norms of all given (B, ...) tensors, divided by B."""
    total = torch.stack([single_or_more(vector).square().sum() for vector in vectors]).sum()
    return total / (2 * len(vectors[0]))


def frobenius_norms(*matrices: Tensor) -> Tensor:
    """Sum of the Frobenius norms, not squared, of all given (B, F) tensors, divided by B."""
    return torch.stack([torch.linalg.vector_norm(single_or_more(matrix)) for matrix in matrices]).sum() / len(
        matrices[0]
    )


def mean_squares(*tensors: Tensor) -> Tensor:
    """Sum over the given tensors of the mean of their squared entries."""
    return torch.stack([single_or_more(tensor).square().mean() for tensor in tensors]).sum()


class _LogSumExpOfProducts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, others: Tensor) -> Tensor:
        columns = others.t().contiguous()
        some_rows = row_blocks(len(rows), len(others), rows.device)
        total = torch.cat([torch.logsumexp(rows[some] @ columns, dim=1) for some in some_rows])
        ctx.save_for_backward(rows, others, total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        rows, others, total = ctx.saved_tensors
        columns = others.t().contiguous()
        of_rows, of_others = torch.empty_like(rows), torch.zeros_like(others)
        for some in row_blocks(len(rows), len(others), rows.device):
            shares = (rows[some] @ columns).sub_(total[some, None]).exp_()  # exp(r . o) / sum
            shares.mul_(gradients[0][some, None])
            of_rows[some] = shares @ others
            of_others.addmm_(shares.t(), rows[some])
        return of_rows, of_others
