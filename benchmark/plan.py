"""What an experiment file asks for, checked before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass

from loguru import logger

from benchmark.config import ExperimentFile, ModelBlock
from benchmark.evaluation import find_metric
from benchmark.models.base import Params, Recommender
from benchmark.models.registry import find_model
from benchmark.search.grid import grid
from workbench.config import nearest, validate
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


def plan_models(file: ExperimentFile, metrics: list[str]) -> list[Plan]:
    """One plan a model of the file.

    Raises
    ------
    UserError : an unknown model or parameter, a value of the wrong type, a monitor that is not computed, a model twice.
    """
    plans = [_plan(file, block, metrics) for block in file.models]
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


def plan_metrics(file: ExperimentFile) -> list[str]:
    """Registered names of the metrics that the file asks for, each once."""
    at = ("experiment", "evaluation", "simple_metrics")
    names = []
    for place, name in enumerate(file.experiment.evaluation.simple_metrics):
        try:
            names.append(find_metric(name))
        except UserError as error:
            raise UserError(error.what, where=file.document.where((*at, place)), mend=error.mend) from None
    return list(dict.fromkeys(names))


def _plan(file: ExperimentFile, block: ModelBlock, metrics: list[str]) -> Plan:
    at = ("experiment", "models", block.name)
    given = file.experiment.external_models_path
    try:
        model = find_model(block.name, None if given is None else file.path(given))
    except UserError as error:
        raise UserError(error.what, where=error.where or file.document.where(at), mend=error.mend) from None
    for key in sorted(set(block.parameters) & set(model.without_effect)):
        logger.info("{}: `{}` has no effect: {}", file.document.where((*at, key)), key, model.without_effect[key])
    parameters = {key: value for key, value in block.parameters.items() if key not in model.without_effect}
    combinations, varied = grid(ModelBlock(block.name, parameters, block.meta), file.document)
    candidates = [validate(model.Params, combination, file.document, at) for combination in combinations]
    return Plan(block, model.__name__, model, candidates, varied, _monitor(file, block, metrics))


def _monitor(file: ExperimentFile, block: ModelBlock, metrics: list[str]) -> str:
    cutoffs = file.experiment.cutoffs
    given = block.meta.validation_metric
    if given is None:
        return f"{metrics[0]}@{cutoffs[0]}"
    where = file.document.where(("experiment", "models", block.name, "meta", "validation_metric"))
    name, _, cutoff = given.partition("@")
    try:
        name = find_metric(name)
    except UserError as error:
        raise UserError(error.what, where=where, mend=error.mend) from None
    computed = [f"{metric}@{k}" for metric in metrics for k in cutoffs]
    monitor = f"{name}@{cutoff or cutoffs[0]}"
    if monitor not in computed:
        raise UserError(f"validation_metric {given!r} is not computed", where=where, mend=nearest(given, computed))
    return monitor
