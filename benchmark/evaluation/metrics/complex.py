"""Metrics with arguments: Elliot's `complex_metrics`.

Each has a settings class whose keys are Elliot's. Groups come from files of `id<TAB>group`; `ids` says whether these
are under the ids of the parts or under the raw ids behind `*_indexed.tsv`, where their ids do not tell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor

from benchmark.data.raw_ids import NO_MAPS, Numbering, RawIds
from benchmark.evaluation.clusters import Categories, Clustering, read_categories, read_clustering
from benchmark.evaluation.lists import Lists
from benchmark.evaluation.metrics import fairness, novelty, popularity
from benchmark.evaluation.metrics.accuracy import harmonic
from benchmark.evaluation.metrics.registry import COMPLEX, METRICS, Formula, Metric, Need, find_complex, find_metric
from benchmark.evaluation.metrics.topics import subtopic_recall
from workbench.config import Settings
from workbench.errors import UserError

CATALOGUE: frozenset[Need] = frozenset({"catalogue"})


@dataclass(frozen=True)
class Sources:
    """What the files of a complex metric are read against.

    Attributes
    ----------
    user_ids, item_ids : ids of the parts by number, of the training part only.
    resolve : a path as it stands in the configuration file -> where it lies.
    raw : the maps to raw ids behind them.
    """

    user_ids: Sequence[str]
    item_ids: Sequence[str]
    device: torch.device
    resolve: Callable[[str], Path] = Path
    raw: RawIds = NO_MAPS

    def users(self, path: str, name: str | None, ids: Numbering | None) -> Clustering:
        return read_clustering(self.resolve(path), name, self.user_ids, self.device, self.raw.users, ids)

    def items(self, path: str, name: str | None, ids: Numbering | None) -> Clustering:
        return read_clustering(self.resolve(path), name, self.item_ids, self.device, self.raw.items, ids)

    def categories(self, path: str, ids: Numbering | None) -> Categories:
        return read_categories(self.resolve(path), self.item_ids, self.device, self.raw.items, ids)


class ComplexMetric(Settings):
    """One entry of `complex_metrics`. `metric` is the name, in any case."""

    metric: str

    @property
    def name(self) -> str:
        """The registered name."""
        return find_complex(self.metric)

    def build(self, sources: Sources) -> Metric:
        """The metric, with its files read."""
        raise NotImplementedError


class FMeasure(ComplexMetric):
    """`ExtendedF1` and `DSC`: (1 + beta^2) x y / (beta^2 x + y) of two metrics of a user; 0 where both are 0.

    metric_0, metric_1 : names of metrics with one value a user.
    """

    metric_0: str = "Precision"
    metric_1: str = "Recall"

    def build(self, sources: Sources) -> Metric:
        return self._combine(1.0, f"{self.name}[{find_metric(self.metric_0)},{find_metric(self.metric_1)}]")

    def _combine(self, beta: float, label: str) -> Metric:
        first, second = (METRICS[find_metric(name)] for name in (self.metric_0, self.metric_1))
        for each in (first, second):
            if not each.per_user:
                raise UserError(
                    f"{self.name}: {each.name} has no value for a single user",
                    mend="take " + ", ".join(name for name, other in METRICS.items() if other.per_user),
                )

        def formula(lists: Lists, k: int) -> Tensor:
            one, other = first.formula(lists, k), second.formula(lists, k)
            assert isinstance(one, Tensor) and isinstance(other, Tensor)
            return harmonic(one, other, beta)

        return Metric(label, formula, True, first.needs | second.needs)


class Dice(FMeasure):
    """`DSC`, with a weight: beta above 1 leans towards metric_1."""

    beta: PositiveFloat = 1.0

    def build(self, sources: Sources) -> Metric:
        names = f"{find_metric(self.metric_0)},{find_metric(self.metric_1)}"
        return self._combine(self.beta, f"{self.name}[{names},beta={self.beta:g}]")


class SubtopicRecall(ComplexMetric):
    """`SRecall`. feature_data : file of `item<TAB>category<TAB>category...`."""

    feature_data: str
    ids: Numbering | None = None

    def build(self, sources: Sources) -> Metric:
        return Metric(self.name, subtopic_recall(sources.categories(self.feature_data, self.ids)))


class Novelty(ComplexMetric):
    """`ExtendedEPC` and `ExtendedEFD`. relevance : `binary`, or `discounted` for graded gains."""

    relevance: novelty.Relevance = "binary"

    def build(self, sources: Sources) -> Metric:
        formula = novelty.extended_epc if self.name == "ExtendedEPC" else novelty.extended_efd
        return Metric(f"{self.name}[{self.relevance}]", formula(self.relevance), True, CATALOGUE)


class Popularity(ComplexMetric):
    """`ExtendedPopRSP` and `ExtendedPopREO`. pop_ratio : share of the training rows that the head holds."""

    pop_ratio: Annotated[float, Field(gt=0, lt=1)] = 0.8

    def build(self, sources: Sources) -> Metric:
        formula = popularity.extended_pop_rsp if self.name == "ExtendedPopRSP" else popularity.extended_pop_reo
        return Metric(f"{self.name}[pop_ratio={self.pop_ratio:g}]", formula(self.pop_ratio), False, CATALOGUE)


class OneClustering(ComplexMetric):
    """`RSP`, `REO`, `ItemMADrating`, `ItemMADranking` over groups of items; `UserMADrating`, `UserMADranking` of users.

    clustering_file : `id<TAB>group`. clustering_name : stands in the labels; by default the file's name.
    """

    clustering_file: str
    clustering_name: str | None = None
    ids: Numbering | None = None

    def build(self, sources: Sources) -> Metric:
        read = sources.users if self.name.startswith("User") else sources.items
        clusters = read(self.clustering_file, self.clustering_name, self.ids)
        if len(clusters.labels) < 2:
            raise UserError(
                f"{self.name} compares groups, and there is one only",
                where=sources.resolve(self.clustering_file),
                mend="put the ids into two groups or more",
            )
        return Metric(f"{self.name}[{clusters.name}]", self._formula(clusters), False, CATALOGUE)

    def _formula(self, clusters: Clustering) -> Formula:
        return {
            "RSP": partial(fairness.by_item_group, "RSP", fairness.parity),
            "REO": partial(fairness.by_item_group, "REO", fairness.opportunity),
            "UserMADrating": partial(fairness.user_mad, fairness.mean_score),
            "UserMADranking": partial(fairness.user_mad, METRICS["nDCG"].formula),
            "ItemMADrating": partial(fairness.item_mad, fairness.relevant_scores),
            "ItemMADranking": partial(fairness.item_mad, fairness.relevant_gains),
        }[self.name](clusters)


class TwoClusterings(ComplexMetric):
    """`BiasDisparityBD`, `BiasDisparityBR`, `BiasDisparityBS`; without a file all users (items) are one group."""

    user_clustering_file: str | None = None
    user_clustering_name: str | None = None
    item_clustering_file: str | None = None
    item_clustering_name: str | None = None
    ids: Numbering | None = None

    def build(self, sources: Sources) -> Metric:
        users = items = None
        if self.user_clustering_file is not None:
            users = sources.users(self.user_clustering_file, self.user_clustering_name, self.ids)
        if self.item_clustering_file is not None:
            items = sources.items(self.item_clustering_file, self.item_clustering_name, self.ids)
        if users is None and items is None:
            raise UserError(
                f"{self.name} compares groups, and none are given",
                mend="give `user_clustering_file`, `item_clustering_file` or both",
            )
        return Metric(self.name, fairness.bias_disparity(self.name, users, items), False, CATALOGUE)


class OfEachGroup(ComplexMetric):
    """`clustered_nDCG`, `_Recall`, `_ARP`, `_APLT`, `_ACLT` and `_GiniIndex`: the metric over each group of users."""

    BASES: ClassVar[Mapping[str, str]] = {
        f"clustered_{name}": name for name in ("nDCG", "Recall", "ARP", "APLT", "ACLT")
    }

    user_clustering_file: str
    user_clustering_name: str | None = None
    ids: Numbering | None = None

    def build(self, sources: Sources) -> Metric:
        users = sources.users(self.user_clustering_file, self.user_clustering_name, self.ids)
        if self.name == "clustered_GiniIndex":
            return Metric(self.name, fairness.gini_of_each_group(self.name, users), False, CATALOGUE)
        base = METRICS[self.BASES[self.name]]
        return Metric(self.name, fairness.of_each_group(self.name, base, users), False, base.needs)


COMPLEX |= {
    "ExtendedF1": FMeasure,
    "DSC": Dice,
    "SRecall": SubtopicRecall,
    "ExtendedEPC": Novelty,
    "ExtendedEFD": Novelty,
    "ExtendedPopRSP": Popularity,
    "ExtendedPopREO": Popularity,
    **dict.fromkeys(
        ["RSP", "REO", "UserMADrating", "UserMADranking", "ItemMADrating", "ItemMADranking"], OneClustering
    ),
    **dict.fromkeys(["BiasDisparityBD", "BiasDisparityBR", "BiasDisparityBS"], TwoClusterings),
    **dict.fromkeys([*OfEachGroup.BASES, "clustered_GiniIndex"], OfEachGroup),
}


def complex_schema(entry: Any) -> type[ComplexMetric]:
    """The settings class against which one entry of `complex_metrics` is to be validated.

    Raises
    ------
    UserError : no mapping, no `metric`, or an unknown one.
    """
    if not isinstance(entry, Mapping) or not isinstance(entry.get("metric"), str):
        raise UserError("an entry of `complex_metrics` without a `metric`", mend="write `- metric: NAME`")
    schema: type[ComplexMetric] = COMPLEX[find_complex(entry["metric"])]
    return schema


def build_complex(settings: ComplexMetric, sources: Sources) -> Metric:
    """The metric that the settings describe, its files read.

    Raises
    ------
    UserError : a file that is absent or broken, or a metric that cannot be combined.
    """
    return settings.build(sources)
