"""What rows took, gathered from the records of their trials: one ledger for terminal, files and page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmark.reports.report import ModelResult, Record


@dataclass(frozen=True)
class Bill:
    """Of some trials together; None where nothing is known.

    Attributes
    ----------
    trials : how many there were; failed : how many of them gave no figures.
    seconds, cpu_seconds, energy_joules : sums, of which every measured trial must know its part.
    memory_mb, gpu_memory_mb : the largest.
    samples_per_second : the mean.
    """

    trials: int
    failed: int
    seconds: float | None
    cpu_seconds: float | None
    energy_joules: float | None
    memory_mb: float | None
    gpu_memory_mb: float | None
    samples_per_second: float | None


@dataclass(frozen=True)
class RowCost:
    """What a row took.

    Attributes
    ----------
    total : all its trials, those under further seeds included; further : these alone.
    chosen : the chosen trials of the search; weights : of the chosen model.
    """

    total: Bill
    further: Bill
    chosen: Bill
    weights: int | None


def cost_of(row: ModelResult) -> RowCost:
    """Trials that failed have taken their time, too."""
    chosen = row.chosen_records
    weights = chosen[0].get("parameters") if chosen else None
    return RowCost(bill([*row.trials, *row.further]), bill(row.further), bill(chosen), weights)


def bill(records: Sequence[Record]) -> Bill:
    """Of these trials; one that stands there several times, as its journal `key` says, took its time once."""
    trials = list({record.get("key", place): record for place, record in enumerate(records)}.values())
    costs = [record["cost"] for record in trials if record.get("cost")]

    def gathered(key: str, gather: Callable[[list[float]], float]) -> float | None:
        known = [float(cost[key]) for cost in costs if cost.get(key) is not None]
        return gather(known) if known else None

    def total(key: str) -> float | None:
        return gathered(key, sum) if all(cost.get(key) is not None for cost in costs) else None

    return Bill(
        len(trials),
        sum("failed" in record for record in trials),
        total("seconds"),
        total("cpu_seconds"),
        total("energy_joules"),
        gathered("peak_memory_mb", max),
        gathered("gpu_memory_mb", max),
        gathered("samples_per_second", lambda values: sum(values) / len(values)),
    )
