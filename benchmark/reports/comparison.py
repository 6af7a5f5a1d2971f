"""Several results folders side by side: their rows in one table, and what one changes against the other."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.evaluation.significance import TESTS, Comparison, compare_systems, holm
from benchmark.reports.report import ModelResult, Report, read_report
from benchmark.reports.significance import LEVEL, TITLES, compare_files, is_clear
from benchmark.reports.terminal import render
from benchmark.reports.text import one_line
from benchmark.reports.wrapping import Column, tables, terminal_width
from workbench.errors import UserError

_MAY_DIFFER = ("cutoffs", "selection", "side_information")  # of the protocol
_CHOOSING = ("validation", "validation input")  # parts that may differ in size: no test figure is made of them


@dataclass(frozen=True)
class _Run:
    """A results folder; `label` follows the names of its rows."""

    folder: Path
    label: str
    report: Report

    def called(self, model: ModelResult) -> str:
        return f"{model.row} [{self.label}]"

    def per_user(self, model: ModelResult) -> Path:
        return self.folder / "per_user" / f"{model.stem}.npz"


@dataclass(frozen=True)
class _Pair:
    """A row of the first run, and one of another run."""

    base: tuple[_Run, ModelResult]
    other: tuple[_Run, ModelResult]

    @property
    def names(self) -> tuple[str, str]:
        """Of the second row and of the first, which is subtracted."""
        return self.other[0].called(self.other[1]), self.base[0].called(self.base[1])

    @property
    def label(self) -> str:
        (first, row), (second, changed) = self.base, self.other
        return f"{row.row}: {second.label} - {first.label}" if row.row == changed.row else " - ".join(self.names)


def compare_runs(folders: Sequence[Path], styled: bool = False) -> str:
    """All rows of several runs in one table, and the differences of the others to the first, with paired tests.

    The rows of one name are compared; where the runs share no name, every row with every row of the first run.

    Parameters
    ----------
    folders : of results, at least two; each holds `results.json` and `per_user/`.
    styled : see `render`.

    Raises
    ------
    UserError : a folder without results; runs on other data, under another protocol, on other users, or without a
        metric in common.
    """
    runs = _opened(folders)
    metrics = _shared_metrics(runs)
    pairs = _pairs(runs)
    test = next((each for each in TESTS if any(each in run.report.tests for run in runs)), TESTS[0])
    comparisons = _corrected(_compared(pairs, metrics, test), test)
    return "\n".join(
        [
            render(_joined(runs, metrics), styled),
            *tables(*_differences(pairs, metrics, comparisons, test), ["difference"], styled),
            *textwrap.wrap(_note(comparisons, test), terminal_width()),
        ]
    )


def _opened(folders: Sequence[Path]) -> list[_Run]:
    if len({folder.resolve() for folder in folders}) < max(len(folders), 2):
        raise UserError(
            "two different results folders are needed", where=", ".join(map(str, folders)), mend="name two or more"
        )
    reports = [read_report(folder) for folder in folders]
    names = [report.experiment for report in reports]
    labels = names if len(set(names)) == len(names) else [str(folder) for folder in folders]
    runs = [_Run(folder, label, report) for folder, label, report in zip(folders, labels, reports, strict=True)]
    for run in runs:
        if not run.report.models:
            raise UserError("no row of this run has figures", where=run.folder, mend="leave it out")
        _refuse_other_conditions(runs[0], run)
    return runs


def _refuse_other_conditions(first: _Run, other: _Run) -> None:
    """Figures from other data or another protocol do not stand in one table."""
    ours, theirs = _conditions(first.report), _conditions(other.report)
    different = [key for key in dict.fromkeys([*ours, *theirs]) if ours.get(key) != theirs.get(key)]
    if different:
        told = "; ".join(
            f"{key.replace('_', ' ')}: {theirs.get(key, 'none')} here, {ours.get(key, 'none')} there"
            for key in different
        )
        raise UserError(
            f"cannot be compared with {first.folder}: {one_line(told)}",
            where=other.folder,
            mend="run both experiments on the same split under the same `evaluation`",
        )


def _conditions(report: Report) -> dict[str, Any]:
    """What two runs must have in common."""
    protocol = {key: value for key, value in report.protocol.items() if key not in _MAY_DIFFER}
    counts = {key: value for key, value in report.counts.items() if key not in _CHOOSING}
    sampled = report.suffix.strip() or "no"
    return (
        protocol
        | counts
        | {
            "data set": report.dataset,
            "relevance_threshold": report.threshold,
            "sampled candidates": sampled,
        }
    )


def _shared_metrics(runs: Sequence[_Run]) -> list[str]:
    """In the order of the first run."""
    found = [metric for metric in runs[0].report.metrics if all(metric in run.report.metrics for run in runs)]
    if not found:
        raise UserError(
            f"no metric in common with {runs[0].folder}",
            where=", ".join(str(run.folder) for run in runs[1:]),
            mend="ask for the same metrics and cutoffs; what was trained is not trained again",
        )
    return found


def _pairs(runs: Sequence[_Run]) -> list[_Pair]:
    first, *others = runs
    crossed = [
        _Pair((first, row), (run, other))
        for run in others
        for row, other in product(first.report.models, run.report.models)
    ]
    return [pair for pair in crossed if pair.base[1].row == pair.other[1].row] or crossed


def _joined(runs: Sequence[_Run], metrics: Sequence[str]) -> Report:
    """The rows of all runs as one report."""
    first = runs[0].report
    folders = [f"{run.label}: {run.folder}, finished {run.report.finished}" for run in runs]
    return replace(
        first,
        heading=[*first.heading, *folders],
        cutoffs=[k for k in first.cutoffs if any(metric.endswith(f"@{k}") for metric in metrics)],
        metrics=list(metrics),
        chosen_on_test=any(run.report.chosen_on_test for run in runs),
        models=[replace(model, row=run.called(model)) for run in runs for model in run.report.models],
        failed=[replace(each, row=f"{each.row} [{run.label}]") for run in runs for each in run.report.failed],
        comparisons=[],
    )


def _compared(pairs: Sequence[_Pair], metrics: Sequence[str], test: str) -> list[dict[str, Comparison]]:
    """Metric -> the second row against the first, of each pair; all at once, so that they share their resamples."""
    # of two rows the later one is subtracted
    ends = [pair.other for pair in pairs] + [pair.base for pair in pairs]
    rows = {run.called(model): (run, model) for run, model in ends}
    systems = [metric for metric in metrics if all(metric in model.system for _, model in rows.values())]
    by_user = [metric for metric in metrics if metric not in systems]
    found: list[Comparison] = []
    if by_user:
        found += compare_files({name: run.per_user(model) for name, (run, model) in rows.items()}, [test], 0, by_user)
    if systems:
        columns = {name: np.array([model.system[each] for each in systems]).T for name, (_, model) in rows.items()}
        found += compare_systems(columns, systems)
    sought = {(each.metric, (each.first, each.second)): each for each in found}
    return [{metric: sought[metric, pair.names] for metric in metrics} for pair in pairs]


def _corrected(pairs: Sequence[Mapping[str, Comparison]], test: str) -> list[dict[str, Comparison]]:
    """With the p-values over users corrected over the pairs, for each metric."""
    corrected = [dict(found) for found in pairs]
    for metric in dict.fromkeys(metric for found in pairs for metric in found):
        family = [(place, users) for place, found in enumerate(pairs) if (users := found[metric].over_users)]
        adjusted = holm([users.p[test] for _, users in family])
        for (place, users), p in zip(family, adjusted, strict=True):
            whole = replace(users, adjusted={test: p})
            corrected[place][metric] = replace(corrected[place][metric], over_users=whole)
    return corrected


def _differences(
    pairs: Sequence[_Pair], metrics: Sequence[str], comparisons: Sequence[Mapping[str, Comparison]], test: str
) -> tuple[list[Column], list[Column]]:
    """What every table of differences begins with, and the columns behind it."""
    lines = [
        (metric, pair, found[metric]) for metric in metrics for pair, found in zip(pairs, comparisons, strict=True)
    ]
    users = [each.over_users for _, _, each in lines]
    return [
        ("metric", [one_line(metric) for metric, _, _ in lines]),
        ("difference", [one_line(pair.label) for _, pair, _ in lines]),
    ], [
        ("from", [_figure(pair.base[1], metric) for metric, pair, _ in lines]),
        ("to", [_figure(pair.other[1], metric) for metric, pair, _ in lines]),
        ("by", [_difference(each, test) for _, _, each in lines]),
        ("95 % interval", [_interval(each) for _, _, each in lines]),
        ("p", ["-" if each is None else _p(each.p[test]) for each in users]),
        ("Holm", ["-" if each is None else _p(each.adjusted[test]) for each in users]),
    ]


def _note(comparisons: Sequence[Mapping[str, Comparison]], test: str) -> str:
    users = max(each.users for found in comparisons for each in found.values())
    pairs = "1 pair" if len(comparisons) == 1 else f"{len(comparisons)} pairs"
    return (
        f"p: two-sided {TITLES[test]} over {users:,} users; Holm: corrected over {pairs} of rows for each metric; "
        f"†: below {LEVEL:g}, and where there are several replicates the bootstrap interval over users and replicates "
        "excludes 0"
    )


def _figure(model: ModelResult, metric: str) -> str:
    value = model.test.get(metric)
    return "-" if value is None or np.isnan(value) else f"{value:.4f}"


def _difference(each: Comparison, test: str) -> str:
    if np.isnan(each.difference):
        return "- "
    return f"{each.difference:+.4f}{'†' if is_clear(each, test) else ' '}"


def _interval(each: Comparison) -> str:
    """Over users and replicates where there are several, over users otherwise."""
    seeds, users = each.over_seeds, each.over_users
    interval = seeds.interval or seeds.welch if seeds else None
    interval = interval or (users.interval if users else None)
    return f"{interval.low:+.4f} to {interval.high:+.4f}" if interval else "-"


def _p(value: float) -> str:
    return "< 0.0001" if value < 1e-4 else f"{value:.4f}"
