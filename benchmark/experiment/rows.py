"""The rows of the table: every model, once, or once a missing rate if it reads features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.experiment.plan import Plan
from benchmark.models.base import MultimodalParams


@dataclass(frozen=True)
class Row:
    """A model under one missing rate; `name` is its label in tables and the stem of its files."""

    plan: Plan
    missing_rate: float
    name: str


def rows_of(plans: Sequence[Plan], rates: Sequence[float]) -> list[Row]:
    """Rows in the order of the file."""
    rows = []
    for plan in plans:
        if len(rates) > 1 and any(isinstance(params, MultimodalParams) for params in plan.candidates):
            rows += [Row(plan, rate, f"{plan.name} missing={rate:g}") for rate in rates]
        else:
            rows.append(Row(plan, rates[0], plan.name))
    return rows
