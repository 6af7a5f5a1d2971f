"""What an experiment found, put together for its tables, files and page."""

from __future__ import annotations

import time
from collections.abc import Sequence

from benchmark.config import ExperimentFile
from benchmark.data.dataset import Dataset
from benchmark.experiment.bench import Bench
from benchmark.experiment.lists import examples
from benchmark.experiment.opening import Judged
from benchmark.guard import Finding
from benchmark.measures import Measures
from benchmark.reports.report import Failure, Report
from benchmark.reports.significance import compare_results
from workbench.runtime import machine, versions

_LIBRARIES = ("torch", "numpy", "pandas", "scipy", "transformers", "sentence-transformers", "bottega")


def build_report(
    bench: Bench,
    measures: Measures,
    judged: Sequence[Judged],
    failed: Sequence[Failure],
    findings: Sequence[Finding],
) -> Report:
    """The report of an experiment that has been run."""
    file, experiment = bench.file, bench.file.experiment
    results = [each.result for each in judged]
    first = bench.first_fold
    sampling = experiment.negative_sampling
    return Report(
        dataset=experiment.dataset,
        experiment=bench.folder.name,
        finished=time.strftime("%Y-%m-%d %H:%M:%S"),
        heading=_heading(measures, file, first.dataset),
        protocol=measures.record(experiment) | {"split": bench.fingerprint},
        counts=counts(first.dataset),
        cutoffs=measures.cutoffs,
        metrics=list(results[0].test),
        suffix=f" {sampling.suffix}" if sampling else "",
        threshold=measures.threshold,
        chosen_on_test=bench.chosen_on_test,
        tests=experiment.evaluation.tests,
        models=results,
        failed=list(failed),
        comparisons=compare_results(bench.folder, results, experiment.evaluation.tests, bench.seed),
        guard=list(findings),
        machine=machine(),
        versions=versions(*_LIBRARIES),
        config=file.text,
        examples=examples(first, {each.result.row: each.lists for each in judged}, measures.threshold),
    )


def counts(dataset: Dataset) -> dict[str, int]:
    """Users, items, and rows of each part."""
    parts = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    parts |= {"validation input": dataset.validation_input, "test input": dataset.test_input}
    rows = {name: len(part.items) for name, part in parts.items() if part is not None}
    return {"users": dataset.n_users, "items": dataset.n_items, **rows}


def _heading(measures: Measures, file: ExperimentFile, dataset: Dataset) -> list[str]:
    numbers = ", ".join(f"{value:,} {name}" for name, value in counts(dataset).items())
    protocol = f"{measures.candidates_label(file.experiment)}, mask {measures.mask}"
    if measures.threshold:
        protocol += f", relevant from rating {measures.threshold:g}"
    chosen_by = "chosen by validation only" if measures.legacy is None else f"{measures.legacy}'s protocol"
    return [f"{file.experiment.dataset}: {numbers}", f"test figures; {protocol}; {chosen_by}"]
