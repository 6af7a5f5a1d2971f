"""The rows of the table: every model, once, or under every condition if it reads features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmark.config import ExperimentFile
from benchmark.config.feature_sets import FeatureSet
from benchmark.experiment.plan import Plan
from benchmark.models.base import TrainedRecommender
from workbench.errors import UserError
from workbench.files import escape_id

CHOSEN_ON_TEST = "(chosen on test)"


@dataclass(frozen=True)
class Condition:
    """What models that read features are given: a set of them, and the share of the items that lose theirs."""

    features: FeatureSet
    missing_rate: float


@dataclass(frozen=True)
class Row:
    """A model under one condition; `name` is its label in the table."""

    plan: Plan
    condition: Condition
    name: str

    def chosen_on_test(self) -> Row:
        """The same where the test part chooses, if there is anything to choose."""
        chooses = self.plan.count > 1 or issubclass(self.plan.model, TrainedRecommender)
        return replace(self, name=f"{self.name} {CHOSEN_ON_TEST}") if chooses else self


def conditions_of(file: ExperimentFile) -> list[Condition]:
    """All conditions of an experiment; models that read no features have their row under the first."""
    config = file.experiment.data_config
    return [Condition(features, rate) for features in config.feature_sets for rate in config.missing_rate]


def rows_of(file: ExperimentFile, plans: Sequence[Plan]) -> list[Row]:
    """Rows in the order of the file; what is done to the features stands in the names of those that read them."""
    conditions = conditions_of(file)
    show_rate = file.experiment.data_config.missing_rate != [0.0]
    rows = []
    for plan in plans:
        if not plan.reads_features:
            rows.append(Row(plan, conditions[0], plan.name))
            continue
        for condition in conditions:
            features = condition.features
            label = [plan.name, f"[{features.name}]" if features.name else ""]
            label += [f"{side.modality}={side.control}" for side in features.loaders if side.control]
            label += [f"missing={condition.missing_rate:g}" if show_rate else ""]
            rows.append(Row(plan, condition, " ".join(filter(None, label))))
    return rows


def stem_of(name: str) -> str:
    """The stem of a row's files."""
    return escape_id(name.replace(" ", "_"))


def refuse_same_files(file: ExperimentFile, names: Sequence[str]) -> None:
    """Refuse two rows whose files would have one name.

    Raises
    ------
    UserError : there are such rows.
    """
    owners: dict[str, str] = {}
    for name in names:
        stem = stem_of(name).casefold()
        if stem in owners:
            raise UserError(
                f"two rows of the table, {owners[stem]} and {name}, would share one file",
                where=file.document.where(("experiment", "models")),
                mend="rename the file of one, or give `name` at ProxyRecommender",
            )
        owners[stem] = name
