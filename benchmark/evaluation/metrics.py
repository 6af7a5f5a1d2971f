"""Metrics of one ranking at one cutoff: (E,) float64, one value a judged user.

Notation: k the cutoff, R_u the relevant held-out items of user u, rel_r = 1 if the item at rank r (from 1) is in R_u,
d_r = 1 / log2(r + 1). The mean is over users with at least one relevant item. Formulas as in Elliot.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from benchmark.evaluation.ranking import Ranking
from workbench.config import nearest
from workbench.errors import UserError

Metric = Callable[[Ranking, int], Tensor]


def recall(ranking: Ranking, k: int) -> Tensor:
    """Hits in the first k over |R_u| (not over min(k, |R_u|))."""
    return ranking.hits[:, :k].sum(1) / ranking.relevant


def precision(ranking: Ranking, k: int) -> Tensor:
    """Hits in the first k over k, also where the list is shorter than k."""
    return ranking.hits[:, :k].sum(1) / k


def hit_rate(ranking: Ranking, k: int) -> Tensor:
    """1 if there is a hit in the first k."""
    return ranking.hits[:, :k].amax(1)


def f1(ranking: Ranking, k: int) -> Tensor:
    """Harmonic mean of the user's precision and recall; 0 without a hit."""
    p, r = precision(ranking, k), recall(ranking, k)
    return torch.where(p + r > 0, 2 * p * r / (p + r), 0.0)


def mrr(ranking: Ranking, k: int) -> Tensor:
    """1 / rank of the first hit within the first k; 0 without one."""
    ranks = torch.arange(1, k + 1, device=ranking.gains.device, dtype=torch.float64)
    return (ranking.hits[:, :k] / ranks).amax(1)


def ndcg(ranking: Ranking, k: int) -> Tensor:
    """Graded: sum of g d_r over that of the best list of min(|R_u|, k) items; g = 2^(rating - threshold + 1) - 1."""
    if not ranking.ideal.isfinite().all():
        raise UserError(
            "the ratings are too large for graded nDCG, whose gain is 2^(rating - threshold + 1) - 1",
            mend="take nDCG_binary, or say `binarize: true`",
        )
    discount = _discount(ranking, k)
    return (ranking.gains[:, :k] * discount).sum(1) / (ranking.ideal[:, :k] * discount).sum(1)


def ndcg_binary(ranking: Ranking, k: int) -> Tensor:
    """Binary: sum of rel_r d_r over the sum of the first min(|R_u|, k) discounts; ratings do not matter."""
    discount = _discount(ranking, k)
    best = (ranking.ideal[:, :k] > 0).double()
    return (ranking.hits[:, :k] * discount).sum(1) / (best * discount).sum(1)


METRICS: dict[str, Metric] = {
    "Recall": recall,
    "Precision": precision,
    "HR": hit_rate,
    "F1": f1,
    "MRR": mrr,
    "nDCG": ndcg,
    "nDCG_binary": ndcg_binary,
}
_OTHER_NAMES = {"nDCGRendle2020": "nDCG_binary", "HitRate": "HR"}


def find_metric(name: str) -> str:
    """The registered name behind a metric's name in any case, or behind another system's name for it.

    Raises
    ------
    UserError : no such metric; the nearest is named.
    """
    known = {**{each: each for each in METRICS}, **_OTHER_NAMES}
    for each, registered in known.items():
        if each.casefold() == name.casefold():
            return registered
    raise UserError(f"unknown metric {name!r}", mend=nearest(name, known))


def _discount(ranking: Ranking, k: int) -> Tensor:
    ranks = torch.arange(1, k + 1, device=ranking.gains.device, dtype=torch.float64)
    return 1 / torch.log2(ranks + 1)
