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
from benchmark.experiment.opening import stem_of
from benchmark.load.recommendations import rank_list_file
from benchmark.reports.files import ModelResult, Replicate
from workbench.errors import UserError


def plan_lists(file: ExperimentFile, taken: list[str]) -> list[ListFile]:
    """The files behind `ProxyRecommender` and `RecommendationFolder`.

    Parameters
    ----------
    taken : names of the other rows.

    Raises
    ------
    UserError : a file that is not there, or two rows of one name.
    """
    lists = []
    for block in file.models:
        if not is_proxy(block):
            continue
        for each in find_lists(file, block):
            if each.name in taken:
                raise UserError(
                    f"two rows of the table are called {each.name}",
                    where=file.document.where(("experiment", "models", block.name)),
                    mend="rename the file, or give `name` at ProxyRecommender",
                )
            taken = [*taken, each.name]
            lists.append(each)
    return lists


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
    judge = fold.test if part == "test" else fold.validation
    path = lists.path if part == "test" else lists.validation_path
    assert judge is not None and path is not None
    masked = fold.masked_at_test if part == "test" else [fold.dataset.train]
    return rank_list_file(path, lists.order, fold.dataset, judge.held_out, masked, fold.candidates(part))
