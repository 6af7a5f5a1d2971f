"""How much work an experiment is: trials that are done, trials that are missing, and about how long they take."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import torch
from loguru import logger

from benchmark.experiment.bench import Bench
from benchmark.experiment.rows import Row
from benchmark.experiment.tuning import search_fold
from benchmark.models.base import TrainedRecommender, TrainingParams
from benchmark.search.running import build, failure
from benchmark.search.sweep import Record, Unknown, known, weights_file
from benchmark.search.trial import Trial
from workbench.console import table

_REHEARSED = 1.0  # seconds of training steps


@dataclass(frozen=True)
class Estimate:
    """The work of one row.

    Attributes
    ----------
    trials : of its search, and of its further seeds; done : those of them that are in the journal.
    failed : those of the done ones that gave no figure.
    seconds : of what is missing, one trial after the other; an upper bound, as early stopping is not foreseen. NaN
        where a trial cannot be rehearsed.
    """

    row: str
    trials: int
    done: int
    failed: int
    seconds: float


def estimate(bench: Bench, row: Row) -> Estimate:
    """Count the trials of a row, and rehearse one of those that are missing."""
    folds = bench.folds(row)
    done: dict[str, Record] = {}  # by key, as further seeds begin with the chosen one
    missing: dict[str, Trial] = {}
    further = 0
    for number in range(len(folds)):
        search = search_fold(bench, row, number, drop=lambda trials: None)
        records: list[Record] | None = None
        with suppress(StopIteration):  # its end: all is known
            while True:
                request = search.send(records) if records is not None else next(search)
                first = request.trials[0]
                further = further or len(set(bench.seeds(first)) - {first.params.seed})
                records = []
                for place, trial in enumerate(request.trials):
                    record = known(bench.journal, weights_file(bench.folder, trial), request, trial)
                    if record is None and request.only_restore:
                        raise Unknown(request.labels[place], bench.journal)
                    if record is None:
                        missing[trial.key] = trial
                        continue
                    done[trial.key] = record
                    request.settle(place, record)
                    records.append(record)
                if len(records) < len(request.trials):
                    break
    total = max(len(folds) * len(folds[0]) * (row.plan.count + further), len(done) + len(missing))
    failed = sum("failed" in record for record in done.values())
    return Estimate(row.name, total, len(done), failed, _seconds(list(missing.values()), total - len(done)))


def render_estimates(estimates: Sequence[Estimate]) -> str:
    """A table of the work, with its sum."""
    rows = [
        [
            each.row,
            str(each.trials),
            str(each.done),
            str(each.failed),
            str(each.trials - each.done),
            _time(each.seconds),
        ]
        for each in estimates
    ]
    counts = [str(sum(int(row[column]) for row in rows)) for column in range(1, 5)]
    seconds = sum(each.seconds for each in estimates if not math.isnan(each.seconds))
    rows.append(["all", *counts, _time(seconds)])
    headers = ["row", "trials", "done", "failed", "missing", "about"]
    return f"{table(headers, rows)}\n{counts[3]} trials to run; `about`: one after the other, without early stopping"


def _seconds(missing: Sequence[Trial], count: int) -> float:
    """Of `count` trials, of which some are known."""
    if not missing:
        return 0.0
    try:
        rehearsed = _rehearse(missing[0])
    except (Exception, SystemExit) as error:  # of a user's model: the run will record it, too
        logger.warning("{}: {}", missing[0].name, failure(error)["failed"])
        return math.nan
    known = [
        _epochs(trial) * _steps(trial, rehearsed.samples) * rehearsed.step + _judgements(trial) * rehearsed.judgement
        for trial in missing
    ]
    return sum(known) / len(known) * count


class _Rehearsed(NamedTuple):
    """Seconds of a training step and of a judgement, and the samples of an epoch."""

    step: float
    judgement: float
    samples: int


def _rehearse(trial: Trial) -> _Rehearsed:
    """Measured with weights that are thrown away."""
    ground = trial.stage.ground
    model = build(trial.model, trial.params, ground.data)
    step = judgement = 0.0
    samples = 0
    if isinstance(model, TrainedRecommender):
        assert isinstance(trial.params, TrainingParams)
        sampler = model.sampler()
        samples = len(sampler)
        generator = torch.Generator(ground.data.device).manual_seed(0)
        batch_size = samples if trial.params.batch_size == -1 else trial.params.batch_size
        model.on_epoch_start(1, generator)
        steps, started = 0, time.perf_counter()
        for batch in sampler.batches(batch_size, generator):
            model.loss(batch).backward()
            steps += 1
            if time.perf_counter() - started > _REHEARSED:
                break
        step = (time.perf_counter() - started) / steps
    if ground.validation is not None:
        started = time.perf_counter()
        ground.validation.means(model)
        judgement = time.perf_counter() - started
    return _Rehearsed(step, judgement, samples)


def _epochs(trial: Trial) -> int:
    return trial.params.epochs if isinstance(trial.params, TrainingParams) else 0


def _steps(trial: Trial, samples: int) -> int:
    """Of an epoch."""
    batch = trial.params.batch_size if isinstance(trial.params, TrainingParams) else -1
    return 1 if batch == -1 else math.ceil(samples / batch)


def _judgements(trial: Trial) -> int:
    return math.ceil(_epochs(trial) / trial.protocol.every) if _epochs(trial) else 1


def _time(seconds: float) -> str:
    if math.isnan(seconds):
        return "?"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"
