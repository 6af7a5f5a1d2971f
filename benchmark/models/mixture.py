"""Users with K vectors, items with probabilities of K concepts: the softmax over all items without holding it.

s_ui = log sum_k c_ik exp(q_ku . h_i)        log Z_u = log sum_i exp(s_ui)

(Ma et al., NeurIPS 2019, with q = z / tau.) Blocks of items are computed, reduced and thrown away, and once more for
the gradient, so that nothing of size users x concepts x items exists. Logarithms of sums of exponentials throughout:
where tau is .01, exp(1 / tau) is no single-precision number.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from benchmark.models.blocks import row_blocks
from benchmark.models.graphs.sparse import Pattern, inner_products
from benchmark.models.precision import single_or_more


def log_partition(queries: Tensor, items: Tensor, log_weights: Tensor) -> Tensor:
    """log Z (B,) of queries q (K, B, F), items h (I, F) and log c (I, K); differentiable in all three.

    An item whose log c are -inf has no part in it.
    """
    with torch.autocast(queries.device.type, enabled=False):  # logits reach 1 / tau: half precision would blur them
        given = (single_or_more(each).contiguous() for each in (queries, items, log_weights))
        return _LogPartition.apply(*given)


def log_mixture(queries: Tensor, items: Tensor, log_weights: Tensor) -> Tensor:
    """s (B, I); no gradient."""
    with torch.autocast(queries.device.type, enabled=False):
        blocks = _blocks(single_or_more(queries), single_or_more(items), single_or_more(log_weights))
        return torch.cat([torch.logsumexp(logits, dim=0) for _, logits in blocks], dim=1)


def log_mixture_at(pattern: Pattern, queries: Tensor, items: Tensor, log_weights: Tensor) -> Tensor:
    """s (E,) of some pairs; differentiable.

    Parameters
    ----------
    pattern : which: (K B, I), the same (B, I) for each of the K (`rows.repeated`).
    """
    n_concepts = len(queries)
    products = inner_products(pattern, queries.flatten(0, 1), items).view(n_concepts, -1)
    columns = pattern.columns[: products.shape[1]]
    return torch.logsumexp(products + single_or_more(log_weights).t()[:, columns], dim=0)


def _blocks(queries: Tensor, items: Tensor, log_weights: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Places of some items, and q_ku . h_i + log c_ik of these, (K, B, I')."""
    n_concepts, n_users, _ = queries.shape
    flat = queries.flatten(0, 1)
    for some in row_blocks(len(items), n_concepts * n_users, queries.device):
        logits = (flat @ items[some].t()).view(n_concepts, n_users, len(items[some]))
        yield some, logits.add_(log_weights[some].t()[:, None])


class _LogPartition(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, queries: Tensor, items: Tensor, log_weights: Tensor) -> Tensor:
        found = [torch.logsumexp(logits, dim=(0, 2)) for _, logits in _blocks(queries, items, log_weights)]
        total = torch.logsumexp(torch.stack(found), dim=0)
        ctx.save_for_backward(queries, items, log_weights, total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        queries, items, log_weights, total = ctx.saved_tensors
        flat = queries.flatten(0, 1)
        of_queries, of_items = torch.zeros_like(flat), torch.empty_like(items)
        of_weights = torch.empty_like(log_weights)
        for some, logits in _blocks(queries, items, log_weights):
            shares = logits.sub_(total[:, None]).exp_().mul_(gradients[0][:, None])  # g_u c_ik exp(q . h) / Z_u
            of_weights[some] = shares.sum(dim=1).t()
            shares = shares.flatten(0, 1)
            of_queries.addmm_(shares, items[some])
            torch.mm(shares.t(), flat, out=of_items[some])
        return of_queries.view_as(queries), of_items, of_weights
