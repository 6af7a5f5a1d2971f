"""Metrics of the whole system, written out user by user and item by item."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

Rows = Mapping[int, Mapping[int, float]]


@dataclass(frozen=True)
class Case:
    """Lists of judged users cut at k, their relevant items with ratings, the training part, and threshold."""

    lists: Mapping[int, Sequence[int]]
    relevant: Rows
    train: Rows
    n_users: int
    n_items: int
    threshold: float

    def at(self, k: int) -> dict[int, list[int]]:
        return {user: list(items[:k]) for user, items in self.lists.items()}

    @property
    def popularity(self) -> Counter[int]:
        return Counter(item for rows in self.train.values() for item in rows)

    def tail(self, share: float = 0.8) -> set[int]:
        count = self.popularity
        left = sum(count.values()) * share
        order = sorted(range(self.n_items), key=lambda item: -count[item])
        while order and left > 1e-9:
            left -= count[order.pop(0)]
        return set(order)

    def gain(self, user: int, item: int) -> float:
        rating = self.relevant[user].get(item)
        return 0.0 if rating is None else 2 ** (rating - self.threshold + 1) - 1


def gini(case: Case, k: int, users: Sequence[int] | None = None) -> float:
    """1 - Gini, from the mean difference of all pairs of items."""
    lists = case.at(k)
    counts = Counter(item for user in (lists if users is None else users) for item in lists[user])
    values = [counts[item] for item in range(case.n_items)]
    if sum(values) == 0:
        return math.nan
    difference = sum(abs(one - other) for one in values for other in values)
    return 1 - difference / 2 / max(case.n_items - 1, 1) / sum(values)


def novelty(case: Case, k: int, name: str, discounted: bool = False) -> float:
    count = case.popularity
    total = sum(count.values())
    rarest = min(count.values())
    values = []
    for user, listed in case.at(k).items():
        above = below = 0.0
        for rank, item in enumerate(listed, start=1):
            new = (
                1 - count[item] / sum(map(bool, case.train.values()))
                if name == "EPC"
                else -math.log2((count[item] or rarest) / total)
            )
            weight = case.gain(user, item) if discounted else float(item in case.relevant[user])
            above += weight * new / math.log2(rank + 1)
            below += 1 / math.log2(rank + 1)
        values.append(above / below if below else 0.0)
    return fmean(values)


def group_probabilities(case: Case, k: int, groups: Sequence[set[int]], equal: bool) -> list[float]:
    """P(R@k | g) or, with `equal`, P(R@k | g, y = 1); NaN where undefined."""
    found = []
    for group in groups:
        above = below = 0
        for user, listed in case.at(k).items():
            own = case.train.get(user, {})
            possible = {item for item in group if item not in own}
            if equal:
                possible &= set(case.relevant[user])
                listed = [item for item in listed if item in case.relevant[user]]
            above += len(set(listed) & group)
            below += len(possible)
        found.append(above / below if below else math.nan)
    return found


def spread(values: Sequence[float]) -> float:
    defined = [value for value in values if not math.isnan(value)]
    return pstdev(defined) / fmean(defined) if len(defined) > 1 and any(defined) else math.nan


def mean_difference(groups: Mapping[str, Sequence[float]]) -> float:
    means = [fmean(values) for values in groups.values() if values]
    pairs = [abs(one - other) for one, other in itertools.combinations(means, 2)]
    return fmean(pairs) if pairs else math.nan


def system(name: str, case: Case, k: int) -> float:
    """One figure of a registered metric."""
    lists = case.at(k)
    shown = Counter(item for listed in lists.values() for item in listed)
    total = sum(shown.values())
    count, tail = case.popularity, case.tail()
    head = set(range(case.n_items)) - tail
    if name in ("EPC", "EFD"):
        return novelty(case, k, name)
    if name in ("PopRSP", "PopREO"):
        return spread(group_probabilities(case, k, [head, tail], name == "PopREO"))
    if name in ("ItemCoverage", "ItemCoverage_share"):
        return len(shown) / (case.n_items if name == "ItemCoverage_share" else 1)
    if name in ("Gini", "Gini_coefficient"):
        return gini(case, k) if name == "Gini" else 1 - gini(case, k)
    if name == "Shannon_entropy":
        return -sum(c / total * math.log2(c / total) for c in shown.values()) if total else math.nan
    surprise = {item: -math.log2(c / total) for item, c in shown.items()}
    values = []
    for listed in lists.values():
        length = len(listed)
        values.append(
            {
                "UserCoverage": length > 0,
                "UserCoverageAtN": length >= k,
                "NumRetrieved": length,
                "SEntropy": sum(surprise[item] for item in listed) / max(length, 1),
                "ARP": sum(count[item] for item in listed) / max(length, 1),
                "APLT": len(set(listed) & tail) / max(length, 1),
                "ACLT": len(set(listed) & tail),
            }[name]
        )
    return float(sum(values)) if name.startswith("UserCoverage") else fmean(values)
