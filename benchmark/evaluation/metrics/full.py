"""Metrics of all relevant items, listed or not: areas under the ROC curve, a MAP, and errors of predicted ratings.

Notation as in `accuracy`; rank_i counts from 1 among the candidates of the user, and ahead_i is the number of the
user's relevant items that rank before item i. Items that are not candidates have no rank.

AUC, GAUC and LAUC count N_u = candidates - relevant candidates + 1 negatives; with the mask `train`, and where all
relevant items are candidates, that is Elliot's |I| - |train_u| - |R_u| + 1. The one too many keeps the worst item above
0: the share of wrong pairs is over N_u.
"""

from __future__ import annotations

import torch
from torch import Tensor

from benchmark.evaluation.lists import Lists
from benchmark.evaluation.metrics.registry import metric


@metric("AUC", per_user=False, needs=("full",))
def auc(lists: Lists, k: int) -> float:
    """Mean of (N_u - (rank_i - 1) + ahead_i) / N_u over all relevant candidates of all users; k changes nothing.

    NaN where no relevant item is a candidate.
    """
    return float(_areas(lists)[lists.full.ranks > 0].mean())


@metric("GAUC", needs=("full",))
def gauc(lists: Lists, k: int) -> Tensor:
    """The same terms summed over the user's relevant candidates, over |R_u|; k changes nothing."""
    return _per_user(lists, _areas(lists)) / lists.relevant


@metric("LAUC", needs=("full",))
def lauc(lists: Lists, k: int) -> Tensor:
    """The same terms summed over the hits in the first k, over min(k, |R_u|)."""
    return _per_user(lists, _areas(lists) * (lists.full.ranks <= k)) / lists.relevant.clamp(max=k)


@metric("MAP_longest", needs=("full",))
def average_precision_longest(lists: Lists, k: int) -> Tensor:
    """Sum of Precision@rank_i over the user's relevant items with rank_i up to m, over |R_u|; k changes nothing.

    m is the largest |R_u| of all judged users: Align-MacridVAE's MAP, and `MAP_trec` at m.
    """
    ranks = lists.full.ranks
    listed = (ranks > 0) & (ranks <= lists.relevant.max())
    precisions = (_ahead(lists) + 1).double() / ranks.clamp(min=1)
    return _per_user(lists, precisions * listed) / lists.relevant


@metric("MAE", per_user=False, needs=("full",))
def mae(lists: Lists, k: int) -> float:
    """Mean of |score - rating| over all relevant rows that the model has a score for; k changes nothing.

    Elliot divides by all relevant rows, those without a score included, as if their error were 0. NaN without any.
    """
    return float(_errors(lists).abs().mean())


@metric("MSE", per_user=False, needs=("full",))
def mse(lists: Lists, k: int) -> float:
    """Mean of (score - rating)^2 over the same rows."""
    return float(_errors(lists).square().mean())


@metric("RMSE", per_user=False, needs=("full",))
def rmse(lists: Lists, k: int) -> float:
    """Square root of MSE, of all rows together and not user by user."""
    return mse(lists, k) ** 0.5


def _areas(lists: Lists) -> Tensor:
    """(P,) float64: the term of every relevant row; 0 where the item is not a candidate."""
    ranks, places = lists.full.ranks, lists.rows.places
    ranked_each = torch.bincount(places[ranks > 0], minlength=len(lists.relevant))
    negatives = (lists.full.candidates - ranked_each + 1)[places]
    return torch.where(ranks > 0, (negatives - ranks + 1 + _ahead(lists)).double() / negatives, 0.0)


def _ahead(lists: Lists) -> Tensor:
    """(P,) int64: ahead_i of every relevant row; 0 where the item is not a candidate."""
    ranks, places = lists.full.ranks, lists.rows.places
    ranked = torch.nonzero(ranks > 0).flatten()
    order = ranked[torch.argsort(places[ranked] * (int(ranks.max()) + 1) + ranks[ranked])] if len(ranked) else ranked
    first = torch.searchsorted(places[order], places[order])
    ahead = torch.zeros_like(ranks)
    ahead[order] = torch.arange(len(order), device=ranks.device) - first
    return ahead


def _per_user(lists: Lists, values: Tensor) -> Tensor:
    """(E,) float64: sums of the values (P,) of each user's rows."""
    return torch.bincount(lists.rows.places, weights=values, minlength=len(lists.relevant))


def _errors(lists: Lists) -> Tensor:
    errors = lists.full.predictions.double() - lists.rows.ratings
    return errors[~errors.isnan()]
