"""Rows of the table that are judged from lists made elsewhere, under the protocol of the experiment."""

from __future__ import annotations

from loguru import logger

from benchmark.config import ExperimentFile
from benchmark.config.proxies import ListFile, find_lists, is_proxy
from benchmark.evaluation import Ranking
from benchmark.evaluation.candidates import Part
from benchmark.experiment.bench import Bench
from benchmark.experiment.figures import keep, open_ranking
from benchmark.experiment.fold import Fold
from benchmark.experiment.rows import stem_of
from benchmark.load.recommendations import rank_list_file
from benchmark.reports.files import ModelResult, Replicate
from workbench.errors import UserError


def plan_lists(file: ExperimentFile) -> list[ListFile]:
    """The files behind `ProxyRecommender` and `RecommendationFolder`.

    Raises
    ------
    UserError : a file that is not there.
    """
    return [each for block in file.models if is_proxy(block) for each in find_lists(file, block)]


def check_lists(bench: Bench, lists: ListFile) -> None:
    """Read ready lists without looking at their figures, so that what is wrong with them is said before any training.

    Raises
    ------
    UserError : lists that cannot be judged here.
    """
    full = [metric.name for metric in bench.measures.registered if "full" in metric.needs]
    if full:
        raise UserError(
            f"{', '.join(full)} need the scores of all candidates, and {lists.name} has lists only",
            where=bench.file.document.where(("experiment", "evaluation", "simple_metrics")),
            mend="leave these metrics out, or the lists",
        )
    fold = bench.only_fold(lists.name)
    _rank(fold, lists, "test")
    if lists.validation_path is not None and fold.validation is not None:
        _rank(fold, lists, "validation")


def judge_lists(bench: Bench, lists: ListFile) -> ModelResult:
    """Figures of ready lists; nothing is chosen, so validation lists only tell what a choice would have seen.

    Raises
    ------
    UserError : the experiment has several folds, of which lists can only fit one.
    """
    fold = bench.only_fold(lists.name)
    stem, threshold = stem_of(lists.name), bench.measures.threshold
    record = keep(
        bench.folder / "per_user" / f"{stem}.npz", [[open_ranking(fold, _rank(fold, lists, "test"), threshold)]]
    )
    monitor, value = bench.measures.columns[0], None
    if lists.validation_path is not None:
        judge = fold.validation
        if judge is None:
            logger.warning("{}: validation lists are given, and there is no validation part", lists.name)
        else:
            value = judge.measure(_rank(fold, lists, "validation")).means[monitor]
    return ModelResult.of_record(
        lists.name,
        lists.name,
        stem,
        [],
        monitor,
        value,
        [],
        [Replicate(0, 0, None, record["replicates"][0][0])],
        record,
    )


def _rank(fold: Fold, lists: ListFile, part: Part) -> Ranking:
    judges = fold.judges
    judge = judges.test if part == "test" else judges.validation
    path = lists.path if part == "test" else lists.validation_path
    assert judge is not None and path is not None
    hidden, candidates = judges.hidden(part), judges.candidates(part)
    held_out, raw = judge.held_out, judges.raw_ids
    return rank_list_file(path, lists.order, fold.dataset, held_out, hidden, candidates, raw, lists.ids)
