"""An experiment from its file to its table: plan, load, tune, open the test part once, report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
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
from benchmark.experiment.proxies import Ranked, judge_lists, plan_lists, rank_lists
from benchmark.experiment.reporting import build_report
from benchmark.experiment.rows import Row, refuse_same_files, rows_of
from benchmark.experiment.tuning import Tuned, tune
from benchmark.guard import Figures, Finding, inspect_figures, inspect_mask, tell
from benchmark.load import load_splits
from benchmark.measures import Measures, plan_measures
from benchmark.reports import render, write_files
from benchmark.reports.html import PAGE, write_page
from benchmark.reports.report import Failure, ModelResult, Report, write_report
from benchmark.search.executors import make_executor
from benchmark.search.sweep import Sweep
from benchmark.tracking import check_trackers, open_trackers
from workbench.console import show, wants_style
from workbench.errors import UserError
from workbench.files import write_text
from workbench.locks import Held, Lock
from workbench.runtime import pick_device

RESULTS = Path("results")
LOCK = ".lock"
Overrides = Sequence[tuple[str, str]]


def run_experiment(path: str | Path, overrides: Overrides = (), retry: bool = False) -> Path:
    """Run an experiment file and print its table; returns the results folder, the last where there are several data
    sets.

    What the folder's journal already holds for the same configuration, data and code is not run again.

    Parameters
    ----------
    overrides : dotted keys of the file and what they are set to, as text.
    retry : whether trials that failed before are run again.
    """
    name = Path(path).stem
    folders = [_run(_prepare(file, name), retry) for file in read_experiment_configs(path, overrides)]
    return folders[-1]


def show_plan(path: str | Path, overrides: Overrides = ()) -> None:
    """Print how many trials an experiment file asks for, which are done already, and about how long the rest takes."""
    for file in read_experiment_configs(path, overrides):
        setting = _prepare(file, Path(path).stem)
        estimates = [estimate(setting.bench, row) for row in setting.rows]
        show(f"{setting.bench.folder}\n{render_estimates(estimates)}")


@dataclass(frozen=True)
class _Setting:
    """An experiment with its data loaded and everything checked; nothing is trained and nothing is written yet."""

    bench: Bench
    rows: list[Row]
    lists: list[Ranked]
    findings: list[Finding]


def _prepare(file: ExperimentFile, name: str) -> _Setting:
    """Check the whole file, load the data, and look for what would go wrong later.

    Raises
    ------
    UserError : the first mistake.
    """
    measures = plan_measures(file)
    plans = plan_models(file, measures)
    check_trackers(file.experiment.tracking)
    rows, lists = rows_of(file, plans), plan_lists(file)
    splits, findings = load_splits(file, measures.candidates)
    first = splits[0][0]
    _refuse_blind_choice(file, measures, plans, first)
    remarks = inspect_mask(first, measures.mask)
    tell(remarks)
    folder = RESULTS / file.experiment.dataset / name
    bench = Bench(file, splits, measures, pick_device(file.experiment.gpu), folder)
    if bench.chosen_on_test:
        rows = [row.chosen_on_test() for row in rows]
    refuse_same_files(file, [*(row.name for row in rows), *(each.name for each in lists)])
    for row in rows:
        bench.check(row)
    return _Setting(bench, rows, [rank_lists(bench, each) for each in lists], [*findings, *remarks])


def _run(setting: _Setting, retry: bool) -> Path:
    bench = setting.bench
    file, experiment, folder = bench.file, bench.file.experiment, bench.folder
    with ExitStack() as stack:
        stack.enter_context(_alone_in(folder))
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
        bench.write_negatives()
        report = _report(setting, judged, failed)
        write_report(folder, report)
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
    judged, failed = [], []
    tuned = tune(bench, sweep, setting.rows)
    for row, each in zip(setting.rows, tuned, strict=True):
        if isinstance(each, Tuned):
            judged.append(open_test(bench, sweep, each))
        else:
            logger.error("{}", each.render())
            failed.append(Failure(row.name, each.what))
    if bench.measures.legacy == "mmrec" and not bench.chosen_on_test:
        judged += [open_test_of_all(bench, sweep, each) for each in tuned if isinstance(each, Tuned) and each.several]
    judged += [judge_lists(bench, each) for each in setting.lists]
    if not judged:
        raise UserError("no row of the table has figures", where=bench.folder, mend="mend what is said above")
    return judged, failed


def _report(setting: _Setting, judged: list[Judged], failed: list[Failure]) -> Report:
    bench = setting.bench
    suspicions = [] if bench.chosen_on_test else inspect_figures(_figures([each.result for each in judged]))
    tell(suspicions)
    measures = replace(bench.measures, fewest=bench.fewest_negatives)
    return build_report(bench, measures, judged, failed, [*setting.findings, *suspicions])


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep other sweeps out of a results folder.

    Raises
    ------
    UserError : another one is at work there.
    """
    try:
        lock = Lock(folder / LOCK)
    except Held as held:
        raise UserError(
            f"another sweep is at work in this folder ({held.by})",
            where=folder,
            mend="wait for it, or copy the experiment file under another name",
        ) from None
    except OSError as error:
        raise UserError(f"cannot write: {error.strerror}", where=folder, mend="check permissions") from error
    try:
        yield
    finally:
        lock.release()


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
        if plan.count > 1 and measures.legacy is None:
            raise UserError(
                f"{plan.block.name} has {plan.count} configurations and there is no validation split "
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
