"""An experiment from its file to its table: plan, load, tune, open the test part once, report."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

from loguru import logger

from benchmark.config import ExperimentFile, read_experiment_configs
from benchmark.data.dataset import Dataset
from benchmark.experiment.bench import Bench
from benchmark.experiment.estimate import estimate, render_estimates
from benchmark.experiment.grounds import Grounds, threads_of_a_trial
from benchmark.experiment.opening import Judged, open_test, open_test_of_all
from benchmark.experiment.plan import Plan, plan_models
from benchmark.experiment.proxies import Ranked, check_lists, judge_lists, plan_lists, rank_lists
from benchmark.experiment.reporting import build_report
from benchmark.experiment.rows import Row, refuse_same_files, rows_of
from benchmark.experiment.tuning import Tuned, tune
from benchmark.folder import RESULTS, alone_in
from benchmark.guard import Figures, Finding, inspect_figures, inspect_mask, inspect_means, tell
from benchmark.load import check_sources, load_splits
from benchmark.measures import Measures, plan_measures
from benchmark.reports import render, write_files
from benchmark.reports.html import PAGE, write_page
from benchmark.reports.report import Failure, ModelResult, Report, write_report
from benchmark.search.executors import make_executor
from benchmark.search.running import failure
from benchmark.search.sweep import Sweep
from benchmark.tracking import check_trackers, open_trackers
from workbench.console import show, wants_style
from workbench.errors import UserError
from workbench.files import write_text
from workbench.runtime import pick_device

Overrides = Sequence[tuple[str, str]]


def run_experiment(path: str | Path, overrides: Overrides = (), retry: bool = False) -> Path:
    """Check an experiment file and run it: see `check_experiment` and `CheckedExperiment.run`."""
    return check_experiment(path, overrides).run(retry)


def check_experiment(path: str | Path, overrides: Overrides = ()) -> CheckedExperiment:
    """See whether an experiment file can be run, as far as that can be told without reading the data.

    Parameters
    ----------
    overrides : dotted keys of the file and what they are set to, as text.

    Raises
    ------
    UserError : the first mistake.
    """
    return CheckedExperiment(Path(path).stem, [_check(file) for file in read_experiment_configs(path, overrides)])


@dataclass(frozen=True)
class CheckedExperiment:
    """An experiment file as it was when it was checked: later changes of it, and of its models, are not what runs.

    Attributes
    ----------
    name : of the file, and of the results folder.
    planned : what it asks for, one a data set.
    """

    name: str
    planned: list[_Planned]

    def run(self, retry: bool = False) -> Path:
        """Run it and print its table; returns the results folder, the last where there are several data sets.

        What the folder's journal already holds for the same configuration, data and code is not run again.

        Parameters
        ----------
        retry : whether trials that failed before are run again.
        """
        return [_run(_prepare(each, self.name), retry) for each in self.planned][-1]

    def show_plan(self) -> None:
        """Print how many trials it asks for, which are done already, and about how long the rest takes."""
        for each in self.planned:
            setting = _prepare(each, self.name)
            estimates = [estimate(setting.bench, row) for row in setting.rows]
            show(f"{setting.bench.folder}\n{render_estimates(estimates)}")


@dataclass(frozen=True)
class _Planned:
    """What a file asks for, checked as far as no data is needed."""

    file: ExperimentFile
    measures: Measures
    plans: list[Plan]
    rows: list[Row]


@dataclass(frozen=True)
class _Setting:
    """An experiment with its data loaded and everything checked; nothing is trained and nothing is written yet."""

    bench: Bench
    rows: list[Row]
    lists: list[Ranked]
    findings: list[Finding]


def _check(file: ExperimentFile) -> _Planned:
    measures = plan_measures(file)
    plans = plan_models(file, measures)
    check_trackers(file.experiment.tracking)
    check_sources(file)
    check_lists(file)
    return _Planned(file, measures, plans, rows_of(file, plans))


def _prepare(planned: _Planned, name: str) -> _Setting:
    """Load the data, and look for what would go wrong later.

    Raises
    ------
    UserError : the first mistake.
    """
    file, lists = planned.file, plan_lists(planned.file)
    measures = planned.measures.with_files_hashed(file)
    splits, findings = load_splits(file, measures.candidates)
    first = splits[0][0]
    _refuse_blind_choice(file, measures, planned.plans, first)
    remarks = inspect_mask(first, measures.mask)
    if measures.legacy == "align_macridvae":
        remarks += inspect_means(first)
    tell(remarks)
    folder = RESULTS / file.experiment.dataset / name
    bench = Bench(file, splits, measures, pick_device(file.experiment.gpu), folder)
    rows = [row.chosen_on_test() for row in planned.rows] if bench.chosen_on_test else planned.rows
    refuse_same_files(file, [*(row.name for row in rows), *(each.name for each in lists)])
    for row in rows:
        bench.check(row)
    ranked = [rank_lists(bench, each) for each in lists]
    return _Setting(bench, rows, ranked, [*findings, *remarks])


def _run(setting: _Setting, retry: bool) -> Path:
    bench = setting.bench
    file, experiment, folder = bench.file, bench.file.experiment, bench.folder
    with ExitStack() as stack:
        stack.enter_context(alone_in(folder))
        write_text(folder / "config.yml", file.text)
        base = file.document.path.parent
        trackers = open_trackers(experiment.tracking, folder, experiment.dataset, folder.name, base)
        for tracker in trackers:
            stack.callback(tracker.close)
        grounds = Grounds()
        executor = stack.enter_context(closing(make_executor(experiment.executor, grounds, experiment.gpu)))
        workers = 1 if experiment.executor.ray is not None else executor.slots
        threads = threads_of_a_trial(experiment.threads, len(bench.first_fold.dataset.train.items), workers)
        sweep = Sweep(folder, bench.journal, executor, grounds.name, threads, retry, trackers)
        judged, failed = _judge(setting, sweep)
        _clear(folder, judged)
        bench.write_negatives()
        report = write_report(folder, _report(setting, judged, failed))
        write_files(folder, report, experiment.print_results_as_triplets)
        write_page(folder / PAGE, report, Path("data") / experiment.dataset / "images")
        show(render(report, wants_style()))
        for tracker in trackers:
            tracker.results(report, folder)
    return folder


def _judge(setting: _Setting, sweep: Sweep) -> tuple[list[Judged], list[Failure]]:
    """Tune every row and open the test part for what was chosen.

    Raises
    ------
    UserError : no row has figures.
    """
    bench = setting.bench
    tuned = tune(bench, sweep, setting.rows)
    found = [_opened(bench, sweep, each) if isinstance(each, Tuned) else each for each in tuned]
    if bench.measures.legacy == "mmrec" and not bench.chosen_on_test:
        several = [each for each in tuned if isinstance(each, Tuned) and each.several]
        found += [open_test_of_all(bench, sweep, each) for each in several]
    judged = [each for each in found if isinstance(each, Judged)]
    judged += [judge_lists(bench, each) for each in setting.lists]
    failed = [each for each in found if isinstance(each, Failure)]
    if not judged:
        raise UserError("no row of the table has figures", where=bench.folder, mend="mend what is said above")
    return judged, failed


def _clear(folder: Path, judged: list[Judged]) -> None:
    """Remove per-user values and lists of rows that an earlier run of the file had, and this one has not."""
    owned = {path for each in judged for path in each.files}
    for path in [*folder.glob("per_user/*.npz"), *folder.glob("recs/*.tsv")]:
        if path not in owned:
            path.unlink()


def _opened(bench: Bench, sweep: Sweep, tuned: Tuned) -> Judged | Failure:
    """The test figures of a row; what goes wrong with its model is no end of the others."""
    try:
        return open_test(bench, sweep, tuned)
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        logger.error("{}: the test part was not opened", tuned.row.name)
        return Failure(tuned.row.name, f"when the test part was opened: {failure(error)['failed']}")


def _report(setting: _Setting, judged: list[Judged], failed: list[Failure]) -> Report:
    bench = setting.bench
    suspicions = [] if bench.chosen_on_test else inspect_figures(_figures([each.result for each in judged]))
    tell(suspicions)
    measures = replace(bench.measures, fewest=bench.fewest_negatives)
    return build_report(bench, measures, judged, failed, [*setting.findings, *suspicions])


def _figures(results: list[ModelResult]) -> list[Figures]:
    return [
        Figures(result.row, result.monitor, result.validation, result.test[result.monitor])
        for result in results
        if result.validation is not None
    ]


def _refuse_blind_choice(file: ExperimentFile, measures: Measures, plans: list[Plan], dataset: Dataset) -> None:
    """No search without a validation part, unless another system's protocol is asked for that searches on test."""
    if dataset.validation is not None:
        return
    for plan in plans:
        if plan.count > 1 and not measures.may_see_test:
            raise UserError(
                f"{plan.block.name} has {plan.count} configurations and there is no validation split "
                "to choose by (the test split is never used for that)",
                where=file.document.path,
                mend="add validation_path or validation_splitting, or give single values",
            )
    if not measures.may_see_test:
        logger.warning("no validation split: every model is trained for all its epochs and judged once")
    else:
        logger.warning(
            "no validation split under `legacy: {}`: epochs and configurations are chosen ON THE TEST PART, as that "
            "system does; the figures are too good and are labelled so",
            measures.legacy,
        )
