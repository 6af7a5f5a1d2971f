"""`run_experiment.py`: an experiment file -> a table.

Everything in the file is checked before anything is loaded; every model is tuned on validation; only then is the test
part opened, once for each chosen configuration.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from loguru import logger

from benchmark.config import ExperimentFile, read_experiment_config
from benchmark.data.dataset import Dataset
from benchmark.experiment.bench import Bench
from benchmark.experiment.opening import open_test, open_test_of_all
from benchmark.experiment.plan import Plan, plan_models
from benchmark.experiment.proxies import check_lists, judge_lists, plan_lists
from benchmark.experiment.rows import refuse_same_files, rows_of
from benchmark.guard import Figures, inspect_figures, inspect_mask, tell
from benchmark.load import load_splits
from benchmark.measures import Measures, plan_measures
from benchmark.reports.files import ModelResult, heading_suffix, write_results
from benchmark.reports.significance import compare_models
from benchmark.reports.slices import render_slices, write_slices
from benchmark.reports.terminal import render
from workbench.console import show
from workbench.errors import UserError
from workbench.runtime import pick_device

RESULTS = Path("results")


def run_experiment(path: str | Path) -> Path:
    """Run an experiment file and print its table; returns the results folder.

    What the folder's journal already holds for the same configuration, data and code is not run again.
    """
    file = read_experiment_config(path)
    measures = plan_measures(file)
    plans = plan_models(file, measures)
    rows = rows_of(file, plans)
    lists = plan_lists(file)
    splits, findings = load_splits(file, measures.candidates)
    first = splits[0][0]
    _refuse_blind_choice(file, measures, plans, first)
    remarks = inspect_mask(first, measures.mask)
    tell(remarks)
    folder = RESULTS / file.experiment.dataset / Path(path).stem
    bench = Bench(file, splits, measures, pick_device(file.experiment.gpu), folder)
    if bench.chosen_on_test:
        rows = [row.chosen_on_test() for row in rows]
    refuse_same_files(file, [*(row.name for row in rows), *(each.name for each in lists)])
    configurations = [bench.configurations(row) for row in rows]  # all features are read, before anything is trained
    for each in lists:
        check_lists(bench, each)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file.document.path, folder / "config.yml")

    tuned = [bench.tune(row, trials) for row, trials in zip(rows, configurations, strict=True)]
    results = [open_test(bench, each) for each in tuned]
    if measures.legacy == "mmrec" and not bench.chosen_on_test:
        results += [open_test_of_all(bench, each) for each in tuned if each.several]
    results += [judge_lists(bench, each) for each in lists]
    bench.write_negatives()
    measures = replace(measures, fewest=bench.fewest_negatives)
    suspicions = [] if bench.chosen_on_test else inspect_figures(_figures(results))
    tell(suspicions)
    write_results(folder, file, measures, first, results, [*findings, *remarks, *suspicions])
    suffix = heading_suffix(file)
    tests, seed = file.experiment.evaluation.tests, file.experiment.random_seed
    comparisons = compare_models(folder, results, tests, seed, suffix)
    show(render(file, measures, first, results, comparisons))
    if file.experiment.evaluation.slices is not None:
        groups = {result.name: result.slices for result in results}
        write_slices(folder / "slices.tsv", groups, list(results[0].slices[0].values), suffix)
        show(render_slices(groups, measures.columns[0], suffix))
    return folder


def _figures(results: list[ModelResult]) -> list[Figures]:
    return [
        Figures(result.name, result.monitor, result.validation, result.test[result.monitor])
        for result in results
        if result.validation is not None
    ]


def _refuse_blind_choice(file: ExperimentFile, measures: Measures, plans: list[Plan], dataset: Dataset) -> None:
    """No search without a validation part, unless another system's protocol is asked for that searches on test."""
    if dataset.validation is not None:
        return
    for plan in plans:
        if len(plan.candidates) > 1 and measures.legacy is None:
            raise UserError(
                f"{plan.block.name} has {len(plan.candidates)} configurations and there is no validation split "
                "to choose by (the test split is never used for that)",
                where=file.document.path,
                mend="add validation_path or validation_splitting, or give single values",
            )
    if measures.legacy is None:
        logger.warning("no validation split: every model is trained for all its epochs and judged once")
    else:
        logger.warning(
            "no validation split under `legacy: {}`: epochs and configurations are chosen ON THE TEST PART, as that "
            "system does; the figures are too good and are labelled so",
            measures.legacy,
        )
