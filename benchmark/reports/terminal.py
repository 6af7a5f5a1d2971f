"""The table that an experiment ends with."""

from __future__ import annotations

from benchmark.config import ExperimentFile
from benchmark.data.dataset import Dataset
from benchmark.reports.files import ModelResult, counts
from workbench.console import table


def render(file: ExperimentFile, dataset: Dataset, metrics: list[str], results: list[ModelResult]) -> str:
    """One table a cutoff, one row a model; the best value of a column is marked with `*`."""
    experiment = file.experiment
    numbers = ", ".join(f"{value:,} {name}" for name, value in counts(dataset).items())
    protocol = f"full ranking, mask {experiment.evaluation.mask}"
    if experiment.evaluation.relevance_threshold:
        protocol += f", relevant from rating {experiment.evaluation.relevance_threshold:g}"
    lines = [f"{experiment.dataset}: {numbers}", f"test figures; {protocol}; chosen by validation only"]
    for cutoff in experiment.cutoffs:
        names = [f"{metric}@{cutoff}" for metric in metrics]
        top = {name: max(result.test[name] for result in results) for name in names}
        rows = []
        for result in results:
            record = result.chosen.record
            figures = [f"{result.test[name]:.4f}{'*' if result.test[name] == top[name] else ' '}" for name in names]
            validation = "-" if result.validation is None else f"{result.monitor} {result.validation:.4f}"
            best = ", ".join(f"{key}={_short(value)}" for key, value in result.best.items())
            epoch = f"epoch {record['epoch']}" if record["epoch"] else ""
            cost = [f"{result.seconds:.1f}", f"{record['peak_memory_mb']:.0f}", f"{record['parameters']:,}"]
            rows.append([result.name, *figures, validation, ", ".join(filter(None, [best, epoch])) or "-", *cost])
        headers = ["model", *names, "validation", "chosen", "seconds", "MB", "weights"]
        lines.append(table(headers, rows, left=("validation", "chosen")))
    return "\n".join(lines)


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
