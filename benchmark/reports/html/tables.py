"""The tables of the page: figures, cost ledger and trials, as headings and cells."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmark.reports.costs import Bill, bill, cost_of
from benchmark.reports.figures import clear_leads, figures_of
from benchmark.reports.html.figures.cutoffs import cutoff_of
from benchmark.reports.html.trials import Tried
from benchmark.reports.html.words import DASH, amount, duration, figure, setting, shorten
from benchmark.reports.report import ModelResult, Report


def _key(value: float) -> str:
    return f"{value:.9g}"


@dataclass(frozen=True)
class Heading:
    """Of a column. `k`: the cutoff that it belongs to; `about`: an explanation; `group`: what stands above it."""

    text: str
    numeric: bool = True
    k: int | None = None
    about: str = ""
    group: str = ""


@dataclass(frozen=True)
class Cell:
    """A cell.

    Attributes
    ----------
    key : what it is sorted by; empty where there is nothing, which stays last.
    mark : best, second or chosen; lead: a clear one.
    note : small print beside it; about: what is said of that where it is pointed at.
    pairs : parameters and their values, in the place of the text.
    """

    text: str
    key: str = ""
    mark: str = ""
    lead: bool = False
    note: str = ""
    about: str = ""
    pairs: tuple[tuple[str, str], ...] = ()

    @staticmethod
    def of(value: float | None, text: str) -> Cell:
        known = value is not None and math.isfinite(value)
        return Cell(text, _key(value) if known and value is not None else "")


@dataclass(frozen=True)
class Table:
    """The first cell of a row is its heading. `sums`: the last line, of all rows together."""

    headings: list[Heading]
    rows: list[list[Cell]]
    sums: list[Cell] = field(default_factory=list)

    @property
    def groups(self) -> list[tuple[str, int]]:
        """What stands above the headings, and over how many columns; empty where nothing does."""
        found: list[tuple[str, int]] = []
        for heading in self.headings:
            if found and found[-1][0] == heading.group:
                found[-1] = heading.group, found[-1][1] + 1
            else:
                found.append((heading.group, 1))
        return found if any(name for name, _ in found) else []


def results_table(report: Report) -> Table:
    """A row a model: the figures, what was chosen by what, and what it took."""
    rows = report.models
    leads = clear_leads(report)
    headings = [Heading("Model", numeric=False)]
    columns = [[Cell(row.row, row.row.casefold()) for row in rows]]
    for metric in report.metrics:
        headings.append(Heading(metric + report.suffix, k=cutoff_of(metric)))
        columns.append(_metric_column(report, metric, leads))
    by = "the test part" if report.chosen_on_test else "validation"
    headings += [
        Heading(_chooser(report), about=f"the figure that chose, on {by}"),
        Heading("Chosen", numeric=False, about="parameters that varied, and the epoch whose weights were kept"),
        Heading("Time", about="wall time of all trials together, those under further seeds included"),
        Heading("Memory", about="largest peak of the chosen trial"),
        Heading("Weights", about="of the model that was chosen"),
    ]
    costs = [cost_of(row) for row in rows]
    columns += [
        [_validation(row, len(_monitors(report)) > 1) for row in rows],
        [_choice(row) for row in rows],
        [Cell.of(cost.total.seconds, duration(cost.total.seconds)) for cost in costs],
        [Cell.of(cost.chosen.memory_mb, _megabytes(cost.chosen.memory_mb)) for cost in costs],
        [Cell.of(cost.weights, amount(cost.weights)) for cost in costs],
    ]
    known = [place for place, column in enumerate(columns) if any(cell.key for cell in column)]
    return Table(
        [headings[place] for place in known], [[columns[place][row] for place in known] for row in range(len(rows))]
    )


def _metric_column(report: Report, metric: str, leads: set[tuple[str, str]]) -> list[Cell]:
    cells = []
    for row, each in zip(report.models, figures_of(report, metric, leads), strict=True):
        value = row.test.get(metric, math.nan)
        text, key = (each.text, _key(value)) if math.isfinite(value) else (DASH, "")
        ends = row.interval(metric)
        about = f"95 % interval of the mean: {figure(ends[0])} to {figure(ends[1])}" if ends else ""
        note = f"±{each.spread}" if each.spread else ""
        cells.append(Cell(text, key, each.rank or "", each.leads, note, about))
    return cells


def _monitors(report: Report) -> list[str]:
    return list(dict.fromkeys(row.monitor for row in report.models if row.validation is not None))


def _chooser(report: Report) -> str:
    monitors = _monitors(report)
    part = "Test" if report.chosen_on_test else "Validation"
    return f"{part} {monitors[0]}" if len(monitors) == 1 else part


def _validation(row: ModelResult, named: bool) -> Cell:
    if row.validation is None or not math.isfinite(row.validation):
        return Cell(DASH)
    return Cell(figure(row.validation), _key(row.validation), note=row.monitor if named else "")


def _choice(row: ModelResult) -> Cell:
    pairs = tuple((shorten(key, 40), setting(value)) for key, value in row.chosen_settings)
    note = f"first of {len(row.chosen)} folds" if pairs and len(row.chosen) > 1 else ""
    return Cell("" if pairs else DASH, ", ".join(f"{key}={value}" for key, value in pairs), note=note, pairs=pairs)


def _megabytes(value: float | None) -> str:
    return DASH if value is None else f"{amount(value)} MB"


@dataclass(frozen=True)
class _Entry:
    """A column of the ledger. `groups`: under which of them it stands."""

    title: str
    take: Callable[[Bill], float | None]
    show: Callable[[float | None], str]
    groups: tuple[str, ...]


_ALL, _FURTHER, _CHOSEN = "All trials", "Of these, further seeds", "Chosen"
_ENTRIES = (
    _Entry("Trials", lambda bill: bill.trials, amount, (_ALL, _FURTHER)),
    _Entry("Failed", lambda bill: bill.failed, amount, (_ALL,)),
    _Entry("Wall", lambda bill: bill.seconds, duration, (_ALL, _FURTHER, _CHOSEN)),
    _Entry("CPU", lambda bill: bill.cpu_seconds, duration, (_ALL, _CHOSEN)),
    _Entry("Memory, MB", lambda bill: bill.memory_mb, amount, (_ALL, _CHOSEN)),
    _Entry("GPU, MB", lambda bill: bill.gpu_memory_mb, amount, (_ALL, _CHOSEN)),
    _Entry("Energy, J", lambda bill: bill.energy_joules, amount, (_ALL, _CHOSEN)),
    _Entry("Samples/s", lambda bill: bill.samples_per_second, amount, (_CHOSEN,)),
)


def ledger(report: Report) -> Table:
    """What each row took: all trials together, those under further seeds, and the chosen one.

    Rows without a trial are not in it, and neither are columns of which nothing is known. The last line is the bill of
    all rows, to which a trial that several of them share is put once.
    """
    rows = [row for row in report.models if row.trials or row.further]
    costs = [cost_of(row) for row in rows]
    further = [record for row in rows for record in row.further]
    together = bill([*(record for row in rows for record in row.trials), *further])
    bills = {
        _ALL: ([cost.total for cost in costs], together),
        _FURTHER: ([cost.further for cost in costs] if further else [], bill(further)),
        _CHOSEN: ([cost.chosen for cost in costs], None),
    }
    headings = [Heading("Model", numeric=False)]
    columns = [[Cell(row.row, row.row.casefold()) for row in rows] + [Cell("all")]]
    for group, (each, whole) in bills.items():
        for entry in _ENTRIES:
            values = [entry.take(one) for one in each]
            if group in entry.groups and any(value is not None for value in values):
                last = Cell(entry.show(entry.take(whole)) if whole else "")
                headings.append(Heading(entry.title, group=group))
                columns.append([*(Cell.of(value, entry.show(value)) for value in values), last])
    headings.append(Heading("Weights", group=_CHOSEN))
    columns.append([*(Cell.of(cost.weights, amount(cost.weights)) for cost in costs), Cell("")])
    lines = [list(line) for line in zip(*columns, strict=True)]
    return Table(headings, lines[:-1], lines[-1] if len(rows) > 1 else [])


def trials_table(row: ModelResult, tried: Sequence[Tried], further: Sequence[Tried], most: int) -> Table:
    """The trials of a row, the best first, then those that failed, then what was chosen under its further seeds.

    Parameters
    ----------
    most : trials of the search, and as many under further seeds.
    """
    tried = sorted(tried, key=lambda each: (each.failed is not None, -(each.value or 0.0)))[:most]
    tried = [*tried, *further[:most]]
    headings = [Heading(shorten(key, 40), all(_is_number(each.settings[key]) for each in tried)) for key in row.varied]
    headings = headings or [Heading("Configuration", numeric=False)]
    headings += [Heading(row.monitor), Heading("Epoch"), Heading("Time"), Heading("Outcome", numeric=False)]
    return Table(headings, [_trial(row, each) for each in tried])


def _trial(row: ModelResult, each: Tried) -> list[Cell]:
    cells = [Cell(setting(each.settings[key]), _sort_key(each.settings[key])) for key in row.varied]
    cells = cells or [Cell(each.text, each.text)]
    seconds = each.record.get("cost", {}).get("seconds")
    epoch = each.record.get("epoch")
    outcome = each.failed or each.record.get("stopped") or ""
    note = "chosen" if each.chosen else "" if each.seed is None else f"seed {each.seed}"
    return [
        *cells,
        Cell.of(each.value, DASH if each.value is None else figure(each.value)),
        Cell.of(epoch, DASH if epoch is None else str(epoch)),
        Cell.of(seconds, duration(seconds)),
        Cell(shorten(outcome, 300), outcome, "chosen" if each.chosen else "", note=note),
    ]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _sort_key(value: object) -> str:
    return repr(value) if _is_number(value) else json.dumps(value, default=str)
