"""What an experiment file asks for, checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from loguru import logger

from benchmark.config import ExperimentFile, ModelBlock
from benchmark.config.proxies import is_proxy
from benchmark.evaluation.metrics import better
from benchmark.measures import Measures
from benchmark.models.base import MultimodalParams, Params, Recommender, TrainingParams
from benchmark.models.registry import find_model
from benchmark.search.code import code_hash
from benchmark.search.proposals import Proposals, count, make_proposals, search_notice
from benchmark.search.space import Space, read_space
from benchmark.training.early_stopping import check_monitor, find_column
from workbench.config import Document, Location, legal_keys, located, nearest, validate
from workbench.errors import UserError

_MMREC = {  # its name of a key -> ours
    "embedding_size": "factors",
    "feat_embed_dim": "factors_multimod",
    "learning_rate": "lr",
    "train_batch_size": "batch_size",
    "knn_k": "top_k",
    "n_mm_layers": "n_layers",
    "reg_weight": "l_w",
    "lambda_coeff": "l_m",
    "mm_image_weight": "mw",
    "cl_loss": "c_l",
}


@dataclass(frozen=True)
class Plan:
    """A model of the experiment with its search space.

    Attributes
    ----------
    block : its entry in the file.
    name : that of the model's class.
    space : the values or distributions of its parameters.
    monitor : the validation metric that chooses.
    seed : of what the search draws.
    file : for messages.
    """

    block: ModelBlock
    name: str
    model: type[Recommender]
    space: Space
    monitor: str
    seed: int
    file: ExperimentFile

    def proposals(self) -> Proposals:
        """The configurations to try, from the beginning."""
        return make_proposals(self.space, self.block.meta, self.seed)

    def params(self, combination: dict[str, Any]) -> Params:
        """A configuration, checked and typed."""
        return validate(self.model.Params, combination, self.file.document, ("experiment", "models", self.block.name))

    @cached_property
    def count(self) -> int:
        """Number of configurations."""
        return count(self.space, self.block.meta)

    @property
    def varied(self) -> list[str]:
        """The parameters that have several values."""
        return self.space.varied

    @property
    def reads_features(self) -> bool:
        return issubclass(self.model.Params, MultimodalParams)


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
    code_hash(model)  # now: the file may be edited while the sweep runs
    for key in sorted(set(block.parameters) & set(model.without_effect)):
        logger.info("{}: `{}` has no effect: {}", file.document.where((*at, key)), key, model.without_effect[key])
    parameters = {key: value for key, value in block.parameters.items() if key not in model.without_effect}
    if "early_stopping" in parameters:
        parameters["early_stopping"] = _monitoring(parameters["early_stopping"], measures.columns)
    _refuse_names_of_mmrec(parameters, model.Params, file.document, at)
    space = read_space(parameters, model.Params, file.document, at)
    _tell_unimodal_grid(space)
    if search := search_notice(space, block.meta):
        logger.info("{}: {}", file.document.where((*at, "meta", "hyper_opt_alg")), search)
    seed = file.experiment.random_seed
    plan = Plan(block, model.__name__, model, space, _monitor(file, block, measures), seed, file)
    told = set[str]()
    for combination in plan.proposals().batch():  # all of them, or the first that the search would draw
        params = plan.params(combination)
        notice = params.notice() if isinstance(params, TrainingParams) else None
        if notice is not None and notice not in told:
            logger.info("{}: {}", file.document.where(at), notice)
            told.add(notice)
        if isinstance(params, TrainingParams) and params.early_stopping is not None:
            with located(file.document, (*at, "early_stopping")):
                check_monitor(params.early_stopping, measures.columns)
    return plan


def _monitoring(early_stopping: Any, columns: list[str]) -> Any:
    """An `early_stopping` block, or several, with the column that each monitor means.

    So that equal blocks are equal, and say the same whatever else is computed. What means none is left to the check.
    """
    if isinstance(early_stopping, list):
        return [_monitoring(each, columns) for each in early_stopping]
    if isinstance(early_stopping, dict) and isinstance(early_stopping.get("monitor"), str):
        with suppress(UserError):
            return {**early_stopping, "monitor": find_column(early_stopping["monitor"], columns)}
    return early_stopping


def _refuse_names_of_mmrec(
    parameters: Mapping[str, Any], schema: type[Params], document: Document, at: Location
) -> None:
    legal = legal_keys(schema)
    for key in parameters:
        if key not in legal and _MMREC.get(key) in legal:
            name, where = ".".join(map(str, (*at, key))), document.where((*at, key))
            raise UserError(f"unknown key `{name}`", where=where, mend=f"MMRec's `{key}` is `{_MMREC[key]}` here")


def _tell_unimodal_grid(space: Space) -> None:
    """A list of modalities is a grid like any other list, which who meant all of them at once should know."""
    for key in ("modalities", "loaders"):
        values = space.axes[key].values if key in space.axes else None
        if values is not None and len(values) > 1 and all(isinstance(each, str) for each in values):
            logger.info(
                "{}: `{}` is a grid of {} models that read one modality each; one that reads them all: {}: {}",
                *(space.where(key), key, len(values), key, f'"{tuple(values)}"'),
            )


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
