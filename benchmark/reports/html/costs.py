"""What a row took: sums over its trials, and of the trial that was chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmark.reports.costs import chosen_records
from benchmark.reports.report import ModelResult, Record


@dataclass(frozen=True)
class Bill:
    """Of some trials together; None where nothing is known.

    Attributes
    ----------
    seconds, cpu_seconds, energy_joules : sums, of which every trial must know its part.
    memory_mb, gpu_memory_mb : the largest.
    samples_per_second : the mean.
    """

    seconds: float | None
    cpu_seconds: float | None
    energy_joules: float | None
    memory_mb: float | None
    gpu_memory_mb: float | None
    samples_per_second: float | None


@dataclass(frozen=True)
class RowCost:
    """trials, failed : how many there were; weights : of the chosen model."""

    trials: int
    failed: int
    total: Bill
    chosen: Bill
    weights: int | None


def cost_of(result: ModelResult) -> RowCost:
    """Trials that failed have taken their time, too."""
    chosen = chosen_records(result)
    weights = chosen[0].get("parameters") if chosen else None
    failed = sum(record.get("failed") is not None for record in result.trials)
    return RowCost(len(result.trials), failed, bill(result.trials or chosen), bill(chosen), weights)


def bill(records: Sequence[Record]) -> Bill:
    """Of these trials."""
    costs = [record["cost"] for record in records if record.get("cost")]

    def gathered(key: str, gather: Callable[[list[float]], float]) -> float | None:
        known = [float(cost[key]) for cost in costs if cost.get(key) is not None]
        return gather(known) if known else None

    def total(key: str) -> float | None:
        return gathered(key, sum) if all(cost.get(key) is not None for cost in costs) else None

    return Bill(
        total("seconds"),
        total("cpu_seconds"),
        total("energy_joules"),
        gathered("peak_memory_mb", max),
        gathered("gpu_memory_mb", max),
        gathered("samples_per_second", lambda values: sum(values) / len(values)),
    )
