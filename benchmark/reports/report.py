"""What an experiment found, as plain data: every table, file and page is made of it, and `results.json` holds it."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from scipy import special

from benchmark.evaluation.significance import Comparison
from benchmark.evaluation.slices import SliceRow
from benchmark.guard import Finding
from benchmark.reports.portrait import ShownPortrait
from workbench.errors import UserError
from workbench.files import read_json, write_json
from workbench.numbers import Number

RESULTS = "results.json"
Figures = dict[str, Number]  # `Metric@k` -> value
Record = dict[str, Any]  # of a trial, as the journal has it; see `benchmark.search.running.Outcome`


@dataclass(frozen=True)
class Replicate:
    """The chosen configuration once: on one validation fold of a test fold, under one seed (None for ready lists)."""

    fold: int
    validation_fold: int
    seed: int | None
    test: Figures


@dataclass(frozen=True)
class ModelResult:
    """One row of the table.

    Attributes
    ----------
    row : its label; model: the model's name.
    stem : of its files.
    varied : the parameters that had several values; monitor : the metric that chose among them.
    validation : mean validation value of what was chosen, None without validation.
    chosen : records of the chosen trials, [test fold][validation fold]; empty for lists that were made elsewhere.
    trials : records of all trials that were compared, in the order in which they were asked for.
    replicates : the test figures of each replicate.
    test : means over replicates; spread : standard deviation over them, empty where there is one.
    users : number of judged users.
    system : of the metrics without per-user values, one number a replicate.
    slices : figures of groups of users and items.
    further : records of the chosen configuration under its further seeds, those that are not among `trials`.
    portrait : what the model shows of itself, None for nothing.
    """

    row: str
    model: str
    stem: str
    varied: list[str]
    monitor: str
    validation: Number | None
    chosen: list[list[Record]]
    trials: list[Record]
    replicates: list[Replicate]
    test: Figures
    spread: Figures
    users: int
    system: dict[str, list[Number]]
    slices: list[SliceRow]
    further: list[Record] = field(default_factory=list)
    portrait: ShownPortrait | None = None

    @property
    def repeats(self) -> int:
        """How many replicates a test fold has: validation folds times seeds."""
        return sum(each.fold == self.replicates[0].fold for each in self.replicates)

    @property
    def chosen_records(self) -> list[Record]:
        """Of the chosen trials, over all test and validation folds."""
        return [record for fold in self.chosen for record in fold]

    @property
    def chosen_settings(self) -> list[tuple[str, Any]]:
        """Parameters that varied, and the epoch, of what was chosen in the first fold."""
        if not self.chosen_records:
            return []
        first = self.chosen_records[0]
        found = [(key, first["params"][key]) for key in self.varied if key in first["params"]]
        return [*found, ("epoch", first["epoch"])] if first["epoch"] else found

    def interval(self, metric: str) -> tuple[float, float] | None:
        """95 % interval of the mean of a metric over replicates, by Student's t; None where there is one replicate."""
        if metric not in self.spread or math.isnan(self.spread[metric]):
            return None
        reach = float(special.stdtrit(self.repeats - 1, 0.975)) * self.spread[metric] / math.sqrt(self.repeats)
        return self.test[metric] - reach, self.test[metric] + reach


@dataclass(frozen=True)
class Failure:
    """A row that has no figures, and why."""

    row: str
    reason: str


@dataclass(frozen=True)
class ListedItem:
    """An item of a recommendation: `hit` where it is among those to be found."""

    item: str
    score: Number
    hit: bool


@dataclass(frozen=True)
class Example:
    """What one user had, is to be given and is given, under raw ids.

    Attributes
    ----------
    history : training items; wanted: relevant items of the test part.
    lists : row of the table -> the first items of its list, best first.
    """

    user: str
    history: list[str]
    wanted: list[str]
    lists: dict[str, list[ListedItem]]


@dataclass(frozen=True)
class Report:
    """Everything about one experiment.

    Attributes
    ----------
    dataset, experiment : names of the data set and of the experiment file.
    finished : local time at which these results were first complete, `YYYY-MM-DD HH:MM:SS`.
    heading : the lines above the table: sizes, and under which protocol the figures were made.
    protocol : the same as keys; counts : users, items, and rows of each part.
    cutoffs, metrics : what was measured; `metrics` are the columns `Metric@k` in their order.
    suffix : follows the names of metrics in files, where only sampled candidates were ranked.
    threshold : least rating of a relevant row.
    chosen_on_test : whether configurations were chosen on the test part, as in another system's protocol.
    tests : the significance tests that were asked for.
    models : the rows of the table; failed : the rows without figures.
    comparisons : every pair of rows on every metric.
    guard : what the protocol guard found.
    machine, versions : where and with which libraries it ran.
    config : the experiment file as it ran, with what the command line changed.
    examples : recommendations to look at.
    """

    dataset: str
    experiment: str
    finished: str
    heading: list[str]
    protocol: dict[str, Any]
    counts: dict[str, int]
    cutoffs: list[int]
    metrics: list[str]
    suffix: str
    threshold: float
    chosen_on_test: bool
    tests: list[str]
    models: list[ModelResult]
    failed: list[Failure]
    comparisons: list[Comparison]
    guard: list[Finding]
    machine: dict[str, str]
    versions: dict[str, str]
    config: str
    examples: list[Example]


_ADAPTER = TypeAdapter(Report)


def write_report(folder: Path, report: Report) -> Report:
    """Write `results.json`; where it holds the same results already, they keep the time at which they were finished.

    Returns
    -------
    The report as it is written.
    """
    with suppress(UserError):
        before = read_report(folder)
        same = replace(report, finished=before.finished)
        if _ADAPTER.dump_json(same) == _ADAPTER.dump_json(before):
            report = same
    write_json(folder / RESULTS, _ADAPTER.dump_python(report))
    return report


def read_report(folder: Path) -> Report:
    """Read `results.json` of a results folder.

    Raises
    ------
    UserError : there is none, or it was written by another version.
    """
    path = folder / RESULTS
    if not path.is_file():
        raise UserError(
            "no finished experiment in this folder", where=folder, mend="run it: python run_experiment.py FILE"
        )
    mend = "run the experiment again; what has not changed is not trained again"
    try:
        found = read_json(path)
    except UserError as error:
        raise UserError(f"damaged: {error.what}", where=path, mend=mend) from error
    try:
        return _ADAPTER.validate_python(found)
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))
        what = "not the results of this version of the bench" + (f" (see {place})" if place else "")
        raise UserError(what, where=path, mend=mend) from error
