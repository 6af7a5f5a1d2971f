"""The table that an experiment ends with."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

from benchmark.config import ExperimentFile
from benchmark.data.dataset import Dataset
from benchmark.evaluation.metrics import better
from benchmark.evaluation.metrics.registry import WITHOUT_CUTOFF
from benchmark.evaluation.significance import Comparison
from benchmark.measures import Measures
from benchmark.reports.files import ModelResult, counts, heading_suffix
from benchmark.reports.significance import clear_leaders, footer
from benchmark.reports.wrapping import Column, tables, terminal_width, width
from workbench.console import table


def render(
    file: ExperimentFile,
    measures: Measures,
    dataset: Dataset,
    results: list[ModelResult],
    comparisons: list[Comparison],
) -> str:
    """Tables of the figures, cutoff by cutoff, and one of what was chosen and what it took; one row a model.

    The best value of a column is marked with `*`, or `†` for a clear lead.
    """
    experiment = file.experiment
    numbers = ", ".join(f"{value:,} {name}" for name, value in counts(dataset).items())
    protocol = f"{measures.candidates_label(experiment)}, mask {measures.mask}"
    if measures.threshold:
        protocol += f", relevant from rating {measures.threshold:g}"
    chosen_by = "chosen by validation only" if measures.legacy is None else f"{measures.legacy}'s protocol"
    lines = [f"{experiment.dataset}: {numbers}", f"test figures; {protocol}; {chosen_by}"]
    tests = experiment.evaluation.tests
    leaders = _leaders(results, comparisons, tests[0]) if comparisons else set()
    label = [f"figures{suffix}"] if (suffix := heading_suffix(file)) else []
    models = ("model", [result.name for result in results])
    for cutoff in measures.cutoffs:
        shown = [name for name in results[0].test if _stands_at(name, cutoff, cutoff == measures.cutoffs[-1])]
        for text in tables([models], [(name, _figures(name, results, leaders)) for name in shown]):
            lines += [*label, text]
    lines.append(_choices(models, results, measures.legacy is not None and dataset.validation is None))
    lines += [_spreads(results)] if any(result.spread for result in results) else []
    if leaders:
        lines.append(footer(comparisons, tests[0], max(_folds(result) for result in results)))
    return "\n".join(lines)


def _stands_at(metric: str, cutoff: int, last: bool) -> bool:
    """Whether a column belongs to a cutoff; a metric that has no cutoff belongs to the last one."""
    name, _, k = metric.rpartition("@")
    return k == str(cutoff) and (last or name not in WITHOUT_CUTOFF)


def _leaders(results: list[ModelResult], comparisons: list[Comparison], test: str) -> set[tuple[str, str]]:
    """(row, metric) of clear leads, on metrics of which more, or less, is better for each user."""
    directed = [each for each in comparisons if each.over_users is not None and better(each.metric) is not None]
    smaller = [metric for metric in results[0].test if better(metric) == "smaller"]
    return clear_leaders(directed, test, smaller)


def _figures(metric: str, results: list[ModelResult], leaders: set[tuple[str, str]]) -> list[str]:
    """The cells of a column. Nothing is marked where all values are equal; an undefined one is `-`."""
    values = [result.test[metric] for result in results]
    finite = [value for value in values if math.isfinite(value)]
    best = {"larger": max, "smaller": min, None: None}[better(metric)] if len(set(finite)) > 1 else None
    whole = not any(result.spread for result in results) and max(finite, default=0) > 1
    whole = whole and all(value == round(value) for value in finite)  # counts, such as those of ItemCoverage
    cells = []
    for result, value in zip(results, values, strict=True):
        shape = ",.0f" if whole and abs(value) < 1e7 else _shape(value)
        spread = f" ±{result.spread[metric]:{shape}}" if result.spread else ""
        mark = " " if best is None or value != best(finite) else "†" if (result.name, metric) in leaders else "*"
        cells.append("- " if math.isnan(value) else f"{value:{shape}}{spread}{mark}")
    return cells


def _shape(value: float) -> str:
    """How a number is written: about as many digits as it can be trusted to."""
    size = abs(value)
    return ".4g" if size >= 1e7 else ",.1f" if size >= 100 else ".4f"


def _choices(models: Column, results: list[ModelResult], on_test: bool) -> str:
    """What was chosen by validation (or on test), and what it took."""
    by = [
        "-" if each.validation is None else f"{each.monitor} {each.validation:.4f}{' (test)' if on_test else ''}"
        for each in results
    ]
    head = "chosen by" if on_test else "validation"
    before: list[Column] = [models, (head, by)]
    after: list[Column] = [
        ("seconds", [f"{each.seconds:,.1f}" if each.records else "-" for each in results]),
        ("MB", [f"{_memory(each):,.0f}" if each.records else "-" for each in results]),
        ("weights", [f"{each.records[0]['parameters']:,}" if each.records else "-" for each in results]),
    ]
    room = terminal_width() - 1 - sum(map(width, [*before, *after])) - 3
    chosen = ["\n".join(textwrap.wrap(_chosen(each), max(room, 20))) for each in results]
    columns: list[Column] = [*before, ("chosen", chosen), *after]
    rows = list(zip(*(cells for _, cells in columns), strict=True))
    return table([heading for heading, _ in columns], rows, left=[head, "chosen"])


def _chosen(result: ModelResult) -> str:
    """Parameters and epoch of what was chosen, in the first test fold where there are several."""
    if not result.records:
        return "-"
    record = result.records[0]
    chosen = [f"{key}={_short(value)}" for key, value in result.best[0].items()]
    chosen += [f"epoch {record['epoch']}"] if record["epoch"] else []
    if chosen and len(result.records) > 1:
        chosen.append(f"(1st of {len(result.records)} folds)")
    return ", ".join(chosen) or "-"


def _memory(result: ModelResult) -> float:
    return max(float(record["peak_memory_mb"]) for record in result.records)


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _spreads(results: Sequence[ModelResult]) -> str:
    """The sentence that says over how many values the deviations are."""
    kinds = dict.fromkeys(_replicates(result) for result in results if result.spread)
    text = f"±: standard deviation over {' or '.join(kinds)}"
    folds = max(_folds(result) for result in results)
    return f"{text}, of figures over all {folds} test folds" if folds > 1 else text


def _replicates(result: ModelResult) -> str:
    """Of one test fold: they are pooled before the deviation is taken."""
    own = [each for each in result.replicates if each.fold == result.replicates[0].fold]
    folds = len({each.validation_fold for each in own})
    seeds = len(own) // folds
    if folds == 1:
        return f"{seeds} seeds"
    parts = f"{folds} validation folds"
    return parts if seeds == 1 else f"{len(own)} replicates ({parts} x {seeds} seeds)"


def _folds(result: ModelResult) -> int:
    return len({each.fold for each in result.replicates})
