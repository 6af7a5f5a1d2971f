"""What a row of the table took, gathered from the records of its trials."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from benchmark.reports.report import ModelResult, Record


@dataclass(frozen=True)
class RowCost:
    """None where nothing was measured.

    Attributes
    ----------
    seconds, cpu_seconds, energy_joules : of all trials that were compared, those without figures included.
    peak_memory_mb, gpu_memory_mb : the largest of the chosen trials.
    samples_per_second : mean over the chosen trials.
    parameters : number of weights of the chosen model.
    """

    seconds: float | None
    cpu_seconds: float | None
    energy_joules: float | None
    peak_memory_mb: float | None
    gpu_memory_mb: float | None
    samples_per_second: float | None
    parameters: int | None


def row_cost(model: ModelResult) -> RowCost:
    """Sums over the trials of a row, and what its chosen trials needed at once."""
    chosen = chosen_records(model)
    speed = _known(chosen, "samples_per_second")
    return RowCost(
        seconds=_total(model.trials, "seconds"),
        cpu_seconds=_total(model.trials, "cpu_seconds"),
        energy_joules=_total(model.trials, "energy_joules"),
        peak_memory_mb=max(_known(chosen, "peak_memory_mb"), default=None),
        gpu_memory_mb=max(_known(chosen, "gpu_memory_mb"), default=None),
        samples_per_second=sum(speed) / len(speed) if speed else None,
        parameters=chosen[0].get("parameters") if chosen else None,
    )


def chosen_records(model: ModelResult) -> list[Record]:
    """Records of the chosen trials, over all test and validation folds; empty for lists that were made elsewhere."""
    return [record for fold in model.chosen for record in fold]


def _known(records: Iterable[Record], key: str) -> list[float]:
    return [float(value) for record in records if (value := record.get("cost", {}).get(key)) is not None]


def _total(records: Iterable[Record], key: str) -> float | None:
    """None also where only some of the trials know: a part is no sum."""
    measured = [record for record in records if record.get("cost")]
    values = _known(measured, key)
    return sum(values) if values and len(values) == len(measured) else None
