"""Rows of the table that are judged from lists made elsewhere, under the protocol of the experiment."""

from __future__ import annotations

from dataclasses import dataclass

from loguru import logger

from benchmark.config import ExperimentFile
from benchmark.config.proxies import ListFile, find_lists, is_proxy, tell_without_effect
from benchmark.evaluation import Ranking
from benchmark.evaluation.candidates import Part
from benchmark.experiment.bench import Bench
from benchmark.experiment.figures import keep, open_ranking
from benchmark.experiment.fold import Fold
from benchmark.experiment.lists import example_lists
from benchmark.experiment.opening import Judged, figures_of
from benchmark.experiment.rows import stem_of
from benchmark.load.recommendations import rank_list_file
from benchmark.reports.report import ModelResult, Replicate
from workbench.errors import UserError


def check_lists(file: ExperimentFile) -> None:
    """See whether there are files behind `ProxyRecommender` and `RecommendationFolder`.

    Raises
    ------
    UserError : a file that is not there.
    """
    for block in filter(is_proxy, file.models):
        tell_without_effect(file, block)
        find_lists(file, block)


def plan_lists(file: ExperimentFile) -> list[ListFile]:
    """These files, as they are now: an experiment that ran before this one may have written some.

    Raises
    ------
    UserError : a file that is not there.
    """
    return [each for block in file.models if is_proxy(block) for each in find_lists(file, block)]


@dataclass(frozen=True)
class Ranked:
    """Ready lists as rankings of the test part and, where there are such lists, of the validation part."""

    lists: ListFile
    test: Ranking
    validation: Ranking | None


def rank_lists(bench: Bench, lists: ListFile) -> Ranked:
    """Read ready lists without looking at their figures, so that what is wrong with them is said before any training.

    Raises
    ------
    UserError : lists that cannot be judged here, or several folds, of which lists can only fit one.
    """
    full = [metric.name for metric in bench.measures.registered if "full" in metric.needs]
    if full:
        raise UserError(
            f"{', '.join(full)} need the scores of all candidates, and {lists.name} has lists only",
            where=bench.file.document.where(("experiment", "evaluation", "simple_metrics")),
            mend="leave these metrics out, or the lists",
        )
    fold = bench.only_fold(lists.name)
    validation = None
    if lists.validation_path is not None:
        if fold.ground.validation is None:
            logger.warning("{}: validation lists are given, and there is no validation part", lists.name)
        else:
            validation = _rank(fold, lists, "validation")
    return Ranked(lists, _rank(fold, lists, "test"), validation)


def judge_lists(bench: Bench, ranked: Ranked) -> Judged:
    """Figures of ready lists; nothing is chosen, so validation lists only tell what a choice would have seen."""
    name = ranked.lists.name
    fold = bench.only_fold(name)
    stem, monitor = stem_of(name), bench.measures.columns[0]
    opened = open_ranking(fold, ranked.test, bench.measures.threshold)
    per_user = bench.folder / "per_user" / f"{stem}.npz"
    record = keep(per_user, [[opened]])
    value, judge = None, fold.ground.validation
    if ranked.validation is not None and judge is not None:
        value = judge.measure(ranked.validation).means[monitor]
    result = ModelResult(
        row=name,
        model=name,
        stem=stem,
        varied=[],
        monitor=monitor,
        validation=value,
        chosen=[],
        trials=[],
        replicates=[Replicate(0, 0, None, record["replicates"][0][0])],
        **figures_of(record),
    )
    return Judged(result, example_lists(ranked.test, fold), [per_user])


def _rank(fold: Fold, lists: ListFile, part: Part) -> Ranking:
    judges = fold.judges
    judge = judges.test if part == "test" else judges.validation
    path = lists.path if part == "test" else lists.validation_path
    assert judge is not None and path is not None
    hidden, candidates = judges.hidden(part), judges.candidates(part)
    held_out, raw = judge.held_out, judges.raw_ids
    return rank_list_file(path, lists.order, fold.dataset, held_out, hidden, candidates, raw, lists.ids)
