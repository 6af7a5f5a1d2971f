"""Early stopping: Elliot's keys, in the sense that the words have."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from loguru import logger

from benchmark.evaluation.metrics import better, find_metric
from benchmark.training.settings import EarlyStopping
from workbench.config import nearest
from workbench.errors import UserError

LOSS = "loss"


class Stopper:
    """Counts judgements without an improvement.

    The best value so far is that of the last improvement, so that gains below a delta add up until they count. A value
    v improves on the best b if its gain, v - b (b - v where smaller is better), is above both `min_delta` and
    `rel_delta` |b|; the first value does. An improvement ends the waiting if the value also beats `baseline`.
    Every other judgement is waited through; `patience` of them in a row end training.

    Parameters
    ----------
    settings : the `early_stopping` block.
    monitor : what chooses the epoch, `Metric@k`; monitored where the block names nothing.
    """

    def __init__(self, settings: EarlyStopping, monitor: str) -> None:
        self._settings, self._monitor = settings, settings.monitor or monitor
        self._best: float | None = None
        self._best_epoch = 0
        self._waited = 0

    def judge(self, epoch: int, loss: float, metrics: Mapping[str, float]) -> str | None:
        """Take in a judgement: why training ends here, or None.

        Parameters
        ----------
        loss : mean training loss of the epoch; metrics : validation figures, empty where there is no validation.

        Raises
        ------
        UserError : the monitored metric is not among them.
        """
        values = {**metrics, LOSS: loss}
        column = find_column(self._monitor, metrics)
        value, larger = values[column], _larger_is_better(self._settings, column)
        improved = self._improves(value, larger)
        if improved:
            self._best, self._best_epoch = value, epoch
        self._waited = 0 if improved and self._beats_baseline(larger) else self._waited + 1
        stop = self._waited >= self._settings.patience
        if self._settings.verbose:
            waited = f"waited {self._waited} of {self._settings.patience}" if self._waited else "an improvement"
            logger.info("epoch {}: {} {:.6g}, best {}; {}", epoch, column, value, self._best_shown(), waited)
        return self._reason(column, larger) if stop else None

    def state_dict(self) -> dict[str, Any]:
        """What the next judgements depend on, as JSON-like values."""
        return {"best": self._best, "best_epoch": self._best_epoch, "waited": self._waited}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self._best, self._best_epoch, self._waited = state["best"], state["best_epoch"], state["waited"]

    def _improves(self, value: float, larger: bool) -> bool:
        if math.isnan(value) or self._best is None:
            return not math.isnan(value)
        gain = value - self._best if larger else self._best - value
        return gain > max(self._settings.min_delta, self._settings.rel_delta * abs(self._best))

    def _beats_baseline(self, larger: bool) -> bool:
        baseline = self._settings.baseline
        if baseline is None or self._best is None:
            return self._best is not None
        return self._best > baseline if larger else self._best < baseline

    def _reason(self, column: str, larger: bool) -> str:
        times = f"{self._settings.patience} times in a row"
        if self._best is not None and not self._beats_baseline(larger):
            return f"{column} did not beat the baseline {self._settings.baseline:.6g}, {times}"
        return f"{column} did not improve on {self._best_shown()}, {times}"

    def _best_shown(self) -> str:
        return "nothing" if self._best is None else f"{self._best:.6g} (epoch {self._best_epoch})"


def check_monitor(early_stopping: EarlyStopping, columns: Collection[str]) -> None:
    """Make sure, before anything runs, that what is monitored will be computed and has a better side.

    Parameters
    ----------
    columns : the `Metric@k` that are computed on validation; empty without a validation part.

    Raises
    ------
    UserError : it is not computed (the nearest that is is named), or `mode: auto` cannot tell which side is better.
    """
    given = early_stopping.monitor
    if given is None or not columns:
        if not columns and (given or "").casefold() != LOSS:
            raise UserError(
                "early stopping has no validation part to judge by",
                mend="hold one out for validation, or write `monitor: loss`",
            )
        return
    _larger_is_better(early_stopping, find_column(given, columns))


def find_column(monitor: str, columns: Collection[str]) -> str:
    """The column behind a monitor: any case, another system's name of the metric, the first cutoff if none is given.

    Raises
    ------
    UserError : it is not computed.
    """
    if monitor.casefold() == LOSS:
        return LOSS
    name, at, cutoff = monitor.partition("@")
    with suppress(UserError):
        name = find_metric(name)
    for column in columns:
        known = column if at else column.partition("@")[0]
        if known.casefold() in (monitor.casefold(), (name + at + cutoff).casefold()):
            return column
    raise UserError(
        f"early stopping monitors {monitor!r}, which is not computed", mend=nearest(monitor, [*columns, LOSS])
    )


def _larger_is_better(settings: EarlyStopping, column: str) -> bool:
    if settings.mode != "auto":
        return settings.mode == "max"
    side = "smaller" if column == LOSS else better(column)
    if side is None:
        raise UserError(
            f"early stopping monitors {column}, of which neither more nor less is better",
            mend="write `mode: min` or `mode: max`",
        )
    return side == "larger"
