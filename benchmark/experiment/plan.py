"""What an experiment file asks for, checked before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass

from loguru import logger

from benchmark.config import ExperimentFile, ModelBlock
from benchmark.config.proxies import is_proxy
from benchmark.evaluation.metrics import better
from benchmark.measures import Measures
from benchmark.models.base import Params, Recommender
from benchmark.models.registry import find_model
from benchmark.search.grid import grid
from workbench.config import located, nearest, validate
from workbench.errors import UserError


@dataclass(frozen=True)
class Plan:
    """A model of the experiment with all its parameter sets.

    Attributes
    ----------
    block : its entry in the file.
    name : that of the model's class.
    candidates : one checked parameter set a combination.
    varied : the parameters that have several values.
    monitor : the validation metric that chooses.
    """

    block: ModelBlock
    name: str
    model: type[Recommender]
    candidates: list[Params]
    varied: list[str]
    monitor: str


def plan_models(file: ExperimentFile, measures: Measures) -> list[Plan]:
    """One plan a model of the file; lists that were made elsewhere have none.

    Raises
    ------
    UserError : an unknown model or parameter, a value of the wrong type, a monitor that is not computed, a model twice.
    """
    plans = [_plan(file, block, measures) for block in file.models if not is_proxy(block)]
    names = [plan.name for plan in plans]
    for plan in plans:
        if names.count(plan.name) > 1:
            at = ("experiment", "models", plan.block.name)
            raise UserError(
                f"the model {plan.name} stands twice",
                where=file.document.where(at),
                mend="join the two into one grid",
            )
    return plans


def _plan(file: ExperimentFile, block: ModelBlock, measures: Measures) -> Plan:
    at = ("experiment", "models", block.name)
    given = file.experiment.external_models_path
    with located(file.document, at):
        model = find_model(block.name, None if given is None else file.path(given))
    for key in sorted(set(block.parameters) & set(model.without_effect)):
        logger.info("{}: `{}` has no effect: {}", file.document.where((*at, key)), key, model.without_effect[key])
    parameters = {key: value for key, value in block.parameters.items() if key not in model.without_effect}
    combinations, varied = grid(ModelBlock(block.name, parameters, block.meta), file.document)
    candidates = [validate(model.Params, combination, file.document, at) for combination in combinations]
    return Plan(block, model.__name__, model, candidates, varied, _monitor(file, block, measures))


def _monitor(file: ExperimentFile, block: ModelBlock, measures: Measures) -> str:
    given = block.meta.validation_metric
    if given is None:
        with located(file.document, ("experiment", "evaluation", "simple_metrics")):
            return measures.default_monitor
    at = ("experiment", "models", block.name, "meta", "validation_metric")
    where = file.document.where(at)
    name, _, cutoff = given.partition("@")
    with located(file.document, at):
        name = measures.meaning(name)
    if better(name) != "larger":
        raise UserError(
            f"{name} cannot choose: more of it is not better",
            where=where,
            mend="choose by a metric of accuracy, such as Recall or nDCG",
        )
    monitor = f"{name}@{cutoff or measures.cutoffs[0]}"
    if monitor not in measures.columns:
        raise UserError(
            f"validation_metric {given!r} is not computed", where=where, mend=nearest(given, measures.columns)
        )
    return monitor
