"""The table that an experiment ends with."""

from __future__ import annotations

from benchmark.config import ExperimentFile
from benchmark.data.dataset import Dataset
from benchmark.evaluation.metrics import better
from benchmark.evaluation.significance import Comparison
from benchmark.measures import Measures
from benchmark.reports.files import ModelResult, counts
from benchmark.reports.significance import clear_leaders, footer
from workbench.console import table


def render(
    file: ExperimentFile,
    measures: Measures,
    dataset: Dataset,
    results: list[ModelResult],
    comparisons: list[Comparison],
) -> str:
    """One table a cutoff, one row a model; the best value of a column is marked with `*`, or `†` for a clear lead."""
    experiment = file.experiment
    numbers = ", ".join(f"{value:,} {name}" for name, value in counts(dataset).items())
    protocol = f"{measures.candidates_label(experiment)}, mask {measures.mask}"
    if measures.threshold:
        protocol += f", relevant from rating {measures.threshold:g}"
    chosen_by = "chosen by validation only" if measures.legacy is None else f"{measures.legacy}'s protocol"
    lines = [f"{experiment.dataset}: {numbers}", f"test figures; {protocol}; {chosen_by}"]
    tests = experiment.evaluation.tests
    leaders = _leaders(results, comparisons, tests[0]) if comparisons else set()
    suffix = f" {experiment.negative_sampling.suffix}" if experiment.negative_sampling else ""
    for cutoff in measures.cutoffs:
        names = [name for name in results[0].test if name.endswith(f"@{cutoff}")]
        headers = ["model", *(f"{name}{suffix}" for name in names)]
        rows = [[result.name, *(_figure(result, name, results, leaders) for name in names)] for result in results]
        if cutoff == measures.cutoffs[-1]:
            headers += ["validation", "chosen", "seconds", "MB", "weights"]
            rows = [row + _choice(result) for row, result in zip(rows, results, strict=True)]
        lines.append(table(headers, rows, left=[name for name in ("validation", "chosen") if name in headers]))
    most = max(len(result.replicates) for result in results)
    if most > 1:
        lines.append(f"±: standard deviation over replicates (seeds and folds, at most {most})")
    if leaders:
        lines.append(footer(comparisons, tests[0]))
    return "\n".join(lines)


def _leaders(results: list[ModelResult], comparisons: list[Comparison], test: str) -> set[tuple[str, str]]:
    """(row, metric) of clear leads, on metrics of which more, or less, is better for each user."""
    directed = [each for each in comparisons if each.over_users is not None and better(each.metric) is not None]
    smaller = [metric for metric in results[0].test if better(metric) == "smaller"]
    return clear_leaders(directed, test, smaller)


def _figure(result: ModelResult, metric: str, results: list[ModelResult], leaders: set[tuple[str, str]]) -> str:
    value, values = result.test[metric], [each.test[metric] for each in results]
    best = {"larger": max(values), "smaller": min(values), None: None}[better(metric)]
    mark = " " if value != best else "†" if (result.name, metric) in leaders else "*"
    digits = 4 if max(map(abs, values)) < 100 else 1  # counts, such as those of ItemCoverage
    spread = f" ±{result.spread[metric]:,.{digits}f}" if result.spread else ""
    return f"{value:,.{digits}f}{spread}{mark}"


def _choice(result: ModelResult) -> list[str]:
    """What was chosen by validation, and what it took; of the first test fold where there are several."""
    if not result.records:
        return ["-", "-", "-", "-", "-"]
    validation = "-" if result.validation is None else f"{result.monitor} {result.validation:.4f}"
    record = result.records[0]
    chosen = [f"{key}={_short(value)}" for key, value in result.best[0].items()]
    chosen += [f"epoch {record['epoch']}"] if record["epoch"] else []
    if len(result.records) > 1:
        chosen.append(f"(1st of {len(result.records)} folds)")
    memory = max(each["peak_memory_mb"] for each in result.records)
    return [validation, ", ".join(chosen) or "-", f"{result.seconds:.1f}", f"{memory:.0f}", f"{record['parameters']:,}"]


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
