"""The rows of the table: every model, once, or once a missing rate if it reads features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmark.config import ExperimentFile
from benchmark.experiment.plan import Plan
from benchmark.models.base import MultimodalParams, TrainedRecommender
from workbench.errors import UserError
from workbench.files import escape_id

CHOSEN_ON_TEST = "(chosen on test)"


@dataclass(frozen=True)
class Row:
    """A model under one missing rate; `name` is its label in the table."""

    plan: Plan
    missing_rate: float
    name: str

    def chosen_on_test(self) -> Row:
        """The same where the test part chooses, if there is anything to choose."""
        chooses = len(self.plan.candidates) > 1 or issubclass(self.plan.model, TrainedRecommender)
        return replace(self, name=f"{self.name} {CHOSEN_ON_TEST}") if chooses else self


def rows_of(file: ExperimentFile, plans: Sequence[Plan]) -> list[Row]:
    """Rows in the order of the file; what is done to the features stands in the names of those that read them."""
    config = file.experiment.data_config
    rates = config.missing_rate
    controls = "".join(f" {side.modality}={side.control}" for side in config.side_information if side.control)
    rows = []
    for plan in plans:
        if not any(isinstance(params, MultimodalParams) for params in plan.candidates):
            rows.append(Row(plan, rates[0], plan.name))
            continue
        for rate in rates:
            missing = f" missing={rate:g}" if rates != [0.0] else ""
            rows.append(Row(plan, rate, f"{plan.name}{controls}{missing}"))
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
    owner: dict[str, str] = {}
    for name in names:
        other = owner.setdefault(stem_of(name).casefold(), name)
        if (len(owner) and other != name) or names.count(name) > 1:
            raise UserError(
                f"two rows of the table, {other} and {name}, would share one file",
                where=file.document.where(("experiment", "models")),
                mend="rename the file of one, or give `name` at ProxyRecommender",
            )
