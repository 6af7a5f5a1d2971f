"""The trials of a row, in the form that charts and tables need."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from typing import Any

from benchmark.reports.html.words import setting
from benchmark.reports.report import ModelResult, Record


@dataclass(frozen=True)
class Tried:
    """One trial.

    Attributes
    ----------
    settings : the parameters that varied in the row; text: the same as one line.
    value : of the monitored metric on validation, None where there is none.
    failed : why it has no figures, None where it has some.
    seed : the further seed under which the chosen configuration ran; None in the search.
    """

    record: Record
    settings: dict[str, Any]
    text: str
    value: float | None
    failed: str | None
    chosen: bool
    seed: int | None = None


def trials_of(result: ModelResult) -> list[Tried]:
    """The trials of a search in the order in which they were asked for."""
    chosen = {_identity(record) for record in result.chosen_records}
    return [_tried(result, record, _identity(record) in chosen) for record in result.trials]


def further_of(result: ModelResult) -> list[Tried]:
    """The trials of what was chosen, under its further seeds."""
    return [replace(_tried(result, record, False), seed=record["params"]["seed"]) for record in result.further]


def _tried(result: ModelResult, record: Record, chosen: bool) -> Tried:
    params = record.get("params", {})
    settings = {key: params.get(key) for key in result.varied}
    text = ", ".join(f"{key}={setting(value)}" for key, value in settings.items()) or result.row
    value = record.get("validation", {}).get(result.monitor)
    known = isinstance(value, int | float) and math.isfinite(value)
    return Tried(record, settings, text, float(value) if known else None, record.get("failed"), chosen)


def _identity(record: Record) -> str:
    """Parameters, figures and cost: no two trials agree in all of them, and the curves are long."""
    short = {key: value for key, value in record.items() if key not in ("losses", "history")}
    return json.dumps(short, sort_keys=True, default=str)
