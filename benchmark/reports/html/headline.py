"""The one sentence that people come for: which row is the best."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.evaluation.metrics import better
from benchmark.reports.figures import clear_leads, ranked
from benchmark.reports.html.words import figure, shorten
from benchmark.reports.report import Report


@dataclass(frozen=True)
class Winner:
    """The best row under the metric that chose. `word`: highest or lowest; `next`: the second, empty without one."""

    row: str
    word: str
    metric: str
    value: str
    next: str
    next_value: str
    clear: bool


def winner(report: Report) -> Winner | None:
    """None where several rows share the first place, or none is better than another."""
    metric = next((row.monitor for row in report.models if row.monitor in report.metrics), None)
    if metric is None or better(metric) is None:
        return None
    values = [row.test.get(metric, float("nan")) for row in report.models]
    marks = ranked(values, better(metric))
    best = [place for place, each in enumerate(marks) if each == "best"]
    second = [place for place, each in enumerate(marks) if each == "second"]
    if len(best) != 1:
        return None
    first = report.models[best[0]].row
    return Winner(
        row=shorten(first, 80),
        word="highest" if better(metric) == "larger" else "lowest",
        metric=metric + report.suffix,
        value=figure(values[best[0]]),
        next=" and ".join(shorten(report.models[place].row, 80) for place in second),
        next_value=figure(values[second[0]]) if second else "",
        clear=(first, metric) in clear_leads(report),
    )
