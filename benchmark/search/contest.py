"""Which configuration is best: by the mean of its validation values, the first among equals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from benchmark.search.trial import Trial

Record = dict[str, Any]


class Contest:
    """Takes records as they come and lets go of the weights of configurations that have lost.

    Parameters
    ----------
    monitor : the metric that is compared, larger is better.
    drop : lets go of the weights of trials.
    """

    def __init__(self, monitor: str, drop: Callable[[Sequence[Trial]], None]) -> None:
        self._monitor, self._drop = monitor, drop
        self.configurations: list[list[Trial]] = []
        self.records: list[list[Record | None]] = []
        self._best: tuple[float, int] | None = None
        self._owners: Counter[str] = Counter()  # configurations that have a trial, by its key

    def add(self, trials: Sequence[Trial]) -> int:
        """A configuration with its trials, one a validation fold; gives its place."""
        self.configurations.append(list(trials))
        self.records.append([None] * len(trials))
        self._owners.update({trial.key for trial in trials})
        return len(self.configurations) - 1

    def enter(self, place: int, fold: int, record: Record) -> None:
        """The record of a trial."""
        self.records[place][fold] = record
        if None in self.records[place]:
            return
        value = self.value(place)
        if value is None or (self._best is not None and (-value, place) > (-self._best[0], self._best[1])):
            self._drop(self._losers(place))
            return
        if self._best is not None:
            self._drop(self._losers(self._best[1]))
        self._best = (value, place)

    def value(self, place: int) -> float | None:
        """Mean validation value of a configuration; None if a trial failed, 0 without validation."""
        found = [record for record in self.records[place] if record is not None]
        if any("failed" in record for record in found):
            return None
        values = [record["validation"].get(self._monitor) for record in found]
        return 0.0 if None in values else float(sum(values) / len(values))

    @property
    def best(self) -> int | None:
        """The place of the best configuration; None if none has a figure."""
        return None if self._best is None else self._best[1]

    def _losers(self, place: int) -> list[Trial]:
        """Trials of a configuration that has lost, without those that it shares with the others."""
        return [trial for trial in self.configurations[place] if self._owners[trial.key] == 1]
