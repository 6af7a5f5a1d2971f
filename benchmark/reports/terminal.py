"""The table that an experiment ends with."""

from __future__ import annotations

from benchmark.config import ExperimentFile
from benchmark.data.dataset import Dataset
from benchmark.evaluation.significance import Comparison
from benchmark.reports.files import ModelResult, counts
from benchmark.reports.significance import LEVEL, clear_leaders
from workbench.console import table


def render(
    file: ExperimentFile,
    dataset: Dataset,
    metrics: list[str],
    results: list[ModelResult],
    comparisons: list[Comparison],
) -> str:
    """One table a cutoff, one row a model; the best value of a column is marked with `*`, or `†` for a clear lead."""
    experiment = file.experiment
    numbers = ", ".join(f"{value:,} {name}" for name, value in counts(dataset).items())
    protocol = f"full ranking, mask {experiment.evaluation.mask}"
    if experiment.evaluation.relevance_threshold:
        protocol += f", relevant from rating {experiment.evaluation.relevance_threshold:g}"
    lines = [f"{experiment.dataset}: {numbers}", f"test figures; {protocol}; chosen by validation only"]
    tests = experiment.evaluation.tests
    leaders = clear_leaders(comparisons, tests[0]) if comparisons else set()
    for cutoff in experiment.cutoffs:
        names = [f"{metric}@{cutoff}" for metric in metrics]
        headers = ["model", *names]
        rows = [[result.name, *(_figure(result, name, results, leaders) for name in names)] for result in results]
        if cutoff == experiment.cutoffs[-1]:
            headers += ["validation", "chosen", "seconds", "MB", "weights"]
            rows = [row + _choice(result) for row, result in zip(rows, results, strict=True)]
        lines.append(table(headers, rows, left=[name for name in ("validation", "chosen") if name in headers]))
    if leaders:
        lines.append(f"† better than every other model: {tests[0]} over users, Holm-adjusted p < {LEVEL:g}")
    return "\n".join(lines)


def _figure(result: ModelResult, metric: str, results: list[ModelResult], leaders: set[tuple[str, str]]) -> str:
    best = result.test[metric] == max(each.test[metric] for each in results)
    mark = " " if not best else "†" if (result.name, metric) in leaders else "*"
    return f"{result.test[metric]:.4f}{mark}"


def _choice(result: ModelResult) -> list[str]:
    """What was chosen by validation, and what it took."""
    record = result.chosen.record
    validation = "-" if result.validation is None else f"{result.monitor} {result.validation:.4f}"
    chosen = [f"{key}={_short(value)}" for key, value in result.best.items()]
    chosen += [f"epoch {record['epoch']}"] if record["epoch"] else []
    cost = [f"{result.seconds:.1f}", f"{record['peak_memory_mb']:.0f}", f"{record['parameters']:,}"]
    return [validation, ", ".join(chosen) or "-", *cost]


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
