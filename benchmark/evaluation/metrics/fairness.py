"""Differences between groups of items and groups of users.

Groups are given as numbers 0..C-1, -1 for what belongs to none and is left out. A difference between fewer than two
groups is NaN: there is nothing to compare.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from benchmark.evaluation.clusters import Clustering
from benchmark.evaluation.lists import Lists
from benchmark.evaluation.metrics.diversity import inequality
from benchmark.evaluation.metrics.registry import Formula, Metric


def parity(lists: Lists, k: int, groups: Tensor, n: int) -> Tensor:
    """(C,) float64: probability of each item group to be recommended, P(R@k | g).

    Items of the group in the first k over those that could be there, I without the user's training items, both summed
    over the judged users (Z. Zhu, J. Wang, J. Caverlee, Measuring and mitigating item under-recommendation bias in
    personalized ranking systems, SIGIR 2020). NaN where there could be none.
    """
    possible = len(lists.ranking.users) - lists.trained
    return _sums(lists.counts(k), groups, n) / _sums(possible, groups, n)


def opportunity(lists: Lists, k: int, groups: Tensor, n: int) -> Tensor:
    """(C,) float64: the same for relevant items, P(R@k | g, y = 1); NaN where the group has none (ibid.)."""
    users, items = lists.ranking.users[lists.rows.places], lists.rows.items
    known = items < lists.catalogue.n_items
    users, items = users[known], items[known]
    wanted = items[~lists.catalogue.holds(users, items)]
    hit = lists.items[:, :k][lists.hits[:, :k] > 0]
    return _sums(torch.ones_like(hit), groups[hit], n) / _sums(torch.ones_like(wanted), groups[wanted], n)


def spread(probabilities: Tensor) -> float:
    """Standard deviation over mean of the probabilities (C,) that are defined; 0 is fair. NaN if all are 0."""
    defined = probabilities[~probabilities.isnan()]
    if len(defined) < 2 or not defined.any():
        return math.nan
    return float(defined.std(correction=0) / defined.mean())


def by_item_group(name: str, measure: Callable[[Lists, int, Tensor, int], Tensor], items: Clustering) -> Formula:
    """RSP and REO: the spread over the groups, and the probability of each."""

    def formula(lists: Lists, k: int) -> dict[str, float]:
        probabilities = measure(lists, k, items.of, len(items.labels))
        each = zip(items.labels, probabilities.tolist(), strict=True)
        groups = {f"{name}[{items.name}={label}]": value for label, value in each}
        return {f"{name}[{items.name}]": spread(probabilities)} | groups

    return formula


def user_mad(metric: Formula, users: Clustering) -> Formula:
    """Mean absolute difference, over pairs of user groups, of the groups' means of a metric.

    UserMADrating: of the mean score of the first k (Z. Zhu, X. Hu, J. Caverlee, CIKM 2018); UserMADranking: of graded
    nDCG (Y. Deldjoo et al., A flexible framework for evaluating user and item fairness, UMUAI 2021).
    """

    def formula(lists: Lists, k: int) -> float:
        values = metric(lists, k)
        assert isinstance(values, Tensor)
        groups = users.of[lists.ranking.users].masked_fill(values.isnan(), -1)
        return _mean_difference(values, groups, len(users.labels))

    return formula


def item_mad(gain: Callable[[Lists], Tensor], items: Clustering) -> Formula:
    """Mean absolute difference, over pairs of item groups, of the groups' mean gain.

    The gain of an item is its mean over the lists that have it among their first k; unlisted items are left out.
    ItemMADrating: the score where the item is relevant, else 0; ItemMADranking: 2^(rating - threshold + 1) - 1 where it
    is relevant, else 0 (sources as above).
    """

    def formula(lists: Lists, k: int) -> float:
        listed, counts = lists.listed[:, :k], lists.counts(k)
        sums = _sums(gain(lists)[:, :k][listed], lists.items[:, :k][listed], len(counts))
        return _mean_difference(sums / counts, items.of.masked_fill(counts == 0, -1), len(items.labels))

    return formula


def mean_score(lists: Lists, k: int) -> Tensor:
    """(E,) float64: mean score of the items listed up to k; NaN for an empty list."""
    scores = lists.ranking.scores[:, :k].double().masked_fill(~lists.listed[:, :k], 0.0)
    return scores.sum(1) / lists.lengths(k)


def relevant_scores(lists: Lists) -> Tensor:
    """(E, K) float64: the score at hits, else 0."""
    return lists.ranking.scores.double().masked_fill(lists.hits == 0, 0.0)


def relevant_gains(lists: Lists) -> Tensor:
    """(E, K) float64: the gain at hits, else 0."""
    return lists.gains


def bias_disparity(name: str, users: Clustering | None, items: Clustering | None) -> Formula:
    """Bias of user group G towards item group C (V. Tsintzou, E. Pitoura, P. Tsaparas, RMSE at RecSys 2019).

    B(G, C) = (share of C among the items of G) / (share of C among all items). Items of G: its training rows
    (`BiasDisparityBS`, all users) or its lists up to k (`BiasDisparityBR`, judged users); `BiasDisparityBD` is
    (BR - BS) / BS. Items and users without a group are left out; no clustering is one group of all. NaN where a group
    has no items, or BS = 0.
    """

    def formula(lists: Lists, k: int) -> dict[str, float]:
        values = {
            "BiasDisparityBR": _bias_recommended,
            "BiasDisparityBS": _bias_source,
            "BiasDisparityBD": _bias_change,
        }[name](lists, k, users, items)
        found = {}
        for row, user_label in enumerate(_labels(users)):
            for column, item_label in enumerate(_labels(items)):
                label = ",".join(part for part in (user_label, item_label) if part)
                found[f"{name}[{label}]"] = float(values[row, column])
        return found

    return formula


def of_each_group(name: str, metric: Metric, users: Clustering) -> Formula:
    """The mean of a metric over the users of each group; NaN where none of them is judged."""

    def formula(lists: Lists, k: int) -> dict[str, float]:
        values = metric.formula(lists, k)
        assert isinstance(values, Tensor)
        means = _group_means(values, users.of[lists.ranking.users], len(users.labels))
        return {f"{name}[{label}]": value for label, value in zip(_labels(users), means.tolist(), strict=True)}

    return formula


def gini_of_each_group(name: str, users: Clustering) -> Formula:
    """1 - Gini coefficient of the lists of each user group; NaN where it has none."""

    def formula(lists: Lists, k: int) -> dict[str, float]:
        found = {}
        for number, label in enumerate(_labels(users)):
            chosen = (users.of[lists.ranking.users] == number)[:, None] & lists.listed[:, :k]
            counts = torch.bincount(lists.items[:, :k][chosen], minlength=lists.catalogue.n_items)
            found[f"{name}[{label}]"] = 1 - inequality(counts)
        return found

    return formula


def _bias_recommended(lists: Lists, k: int, users: Clustering | None, items: Clustering | None) -> Tensor:
    listed = lists.listed[:, :k]
    owners = lists.ranking.users[:, None].expand(listed.shape)[listed]
    return _bias(lists, owners, lists.items[:, :k][listed], users, items)


def _bias_source(lists: Lists, k: int, users: Clustering | None, items: Clustering | None) -> Tensor:
    return _bias(lists, lists.catalogue.users, lists.catalogue.items, users, items)


def _bias_change(lists: Lists, k: int, users: Clustering | None, items: Clustering | None) -> Tensor:
    source = _bias_source(lists, k, users, items)
    change = (_bias_recommended(lists, k, users, items) - source) / source
    return change.masked_fill(source == 0, math.nan)


def _bias(lists: Lists, owners: Tensor, owned: Tensor, users: Clustering | None, items: Clustering | None) -> Tensor:
    """(G, C) float64 from pairs of users (N,) and items (N,)."""
    user_group, n_users = _groups(users, lists.catalogue.n_users, owners.device)
    item_group, n_items = _groups(items, lists.catalogue.n_items, owners.device)
    ones, belong = torch.ones_like(owned), (user_group[owners] >= 0) & (item_group[owned] >= 0)
    cells = (user_group[owners] * n_items + item_group[owned]).masked_fill(~belong, -1)
    counts = _sums(ones, cells, n_users * n_items).view(n_users, n_items)
    sizes = _sums(torch.ones_like(item_group), item_group, n_items)
    return counts / counts.sum(1, keepdim=True) / (sizes / sizes.sum())


def _groups(clustering: Clustering | None, n: int, device: torch.device) -> tuple[Tensor, int]:
    if clustering is None:
        return torch.zeros(n, dtype=torch.int64, device=device), 1
    return clustering.of, len(clustering.labels)


def _labels(clustering: Clustering | None) -> list[str]:
    return [""] if clustering is None else [f"{clustering.name}={label}" for label in clustering.labels]


def _sums(values: Tensor, groups: Tensor, n: int) -> Tensor:
    """(n,) float64: sums of values (N,) by group (N,)."""
    known = groups >= 0
    return torch.bincount(groups[known], weights=values[known].double(), minlength=n).double()


def _group_means(values: Tensor, groups: Tensor, n: int) -> Tensor:
    return _sums(values.nan_to_num(), groups, n) / _sums(torch.ones_like(values), groups, n)


def _mean_difference(values: Tensor, groups: Tensor, n: int) -> float:
    means = _group_means(values, groups, n)
    present = means[~means.isnan()]
    if len(present) < 2:
        return math.nan
    above = torch.triu_indices(len(present), len(present), offset=1, device=values.device)
    return float((present[above[0]] - present[above[1]]).abs().mean())
