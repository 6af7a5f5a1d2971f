"""The experiment file: what `run_experiment.py` reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from loguru import logger
from pydantic import Field, PositiveInt, field_validator, model_validator

from benchmark.config.data import DataConfig
from benchmark.config.evaluation import Evaluation
from benchmark.config.foreign import set_aside
from benchmark.config.prefiltering import Prefiltering
from benchmark.config.sampling import NegativeSampling
from benchmark.config.splitting import Splitting
from workbench.config import Document, Settings, read_yaml, validate
from workbench.errors import UserError


class Meta(Settings):
    """The `meta` block of a model."""

    hyper_opt_alg: Literal["grid"] = "grid"
    hyper_max_evals: PositiveInt | None = None
    validation_metric: str | None = None
    validation_rate: PositiveInt = 1
    verbose: bool = True
    save_recs: bool = False
    save_weights: bool = False
    restore: bool = False  # without effect: finished trials are always used again
    optimize_internal_loss: Literal[False] = False


class Experiment(Settings):
    """Everything below `experiment:`.

    seeds : seeds under which the chosen configuration is trained and tested, or how many of them, counted up from the
        model's own; the table then shows mean and deviation.
    """

    dataset: str
    data_config: DataConfig
    prefiltering: Prefiltering
    splitting: Splitting | None = None
    negative_sampling: NegativeSampling | None = None
    seeds: int | list[int] | None = None
    top_k: Annotated[int, Field(ge=1, le=100_000)]
    evaluation: Evaluation
    models: Annotated[dict[str, dict[str, Any] | None], Field(min_length=1)]
    backend: Literal["pytorch"] = "pytorch"
    gpu: int = -1
    external_models_path: str | None = None
    random_seed: Annotated[int, Field(ge=0, lt=2**32)] = 42
    binarize: bool = False
    align_side_with_train: Literal[True] = True

    @field_validator("seeds", mode="before")
    @classmethod
    def _seeds(cls, value: Any) -> Any:
        number = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 1000
        if value is None or number:
            return value
        whole = isinstance(value, list) and all(isinstance(each, int) and not isinstance(each, bool) for each in value)
        if not (whole and value and len(set(value)) == len(value) and all(0 <= each < 2**32 for each in value)):
            raise ValueError("should be a number of seeds, or a list of different ones from 0 to 2^32 - 1")
        return value

    @field_validator("backend", mode="before")
    @classmethod
    def _backend(cls, value: Any) -> Any:
        return value[0] if isinstance(value, list) and len(value) == 1 else value

    @field_validator("dataset")
    @classmethod
    def _plain_name(cls, value: str) -> str:
        if value != Path(value).name or value in ("", ".", ".."):
            raise ValueError("should be the plain name of a folder in data/")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Experiment:
        if max(self.cutoffs) > self.top_k:
            raise ValueError(f"cutoff {max(self.cutoffs)} is larger than top_k {self.top_k}")
        data = self.data_config
        if self.splitting is not None:
            self.splitting.check_data(data.strategy, data.validation_path is not None)
        elif data.strategy == "dataset":
            raise ValueError("the strategy dataset needs a `splitting` block")
        if data.strategy != "dataset" and self.prefiltering:
            raise ValueError(f"the strategy {data.strategy} reads ready parts: remove `prefiltering`")
        if len(data.missing_rate) > 1 and any(side.missing.policy == "drop" for side in data.side_information):
            raise ValueError(
                "under `missing: drop` each missing_rate leaves another data set: "
                "run one experiment a rate, or take another policy"
            )
        seeded = [name for name, given in self.models.items() if isinstance((given or {}).get("seed"), list)]
        if self.seeds is not None and seeded:
            raise ValueError(
                f"`seeds` repeats what was chosen, and {seeded[0]} chooses among a list under `seed`: keep one"
            )
        return self

    @property
    def cutoffs(self) -> list[int]:
        """Cutoffs in ascending order, each once."""
        return sorted(set(self.evaluation.cutoffs or [self.top_k]))


@dataclass(frozen=True)
class ModelBlock:
    """One entry of `models`: the name as given, its parameters (lists are grids) and its meta."""

    name: str
    parameters: dict[str, Any]
    meta: Meta


@dataclass(frozen=True)
class ExperimentFile:
    """A checked experiment file.

    Attributes
    ----------
    document : the YAML with its lines, for messages about model parameters.
    experiment : the settings.
    models : the entries of `models`, in the order of the file.
    """

    document: Document
    experiment: Experiment
    models: list[ModelBlock]

    def path(self, given: str) -> Path:
        """A path of the file: relative to the file's folder, `{0}` is the data set."""
        return self.document.path.parent / given.replace("{0}", self.experiment.dataset)


def read_experiment_config(path: str | Path) -> ExperimentFile:
    """Read and check an experiment file (model parameters are checked later, by the model that owns them)."""
    document = read_yaml(path)
    extra = sorted(set(document.data) - {"experiment"})
    if extra or "experiment" not in document.data:
        raise UserError(
            f"unknown key `{extra[0]}`" if extra else "the key `experiment` is missing",
            where=document.where((extra[0],) if extra else ()),
            mend="everything stands below one key, `experiment:`",
        )
    at = ("experiment",)
    block = set_aside(document.data["experiment"], document, at)
    if isinstance(block, dict):
        for key in ("data_config", "evaluation"):
            if key in block:
                block[key] = set_aside(block[key], document, (*at, key))
    experiment = validate(Experiment, block, document, at)
    models = [_model_block(name, parameters or {}, document) for name, parameters in experiment.models.items()]
    return ExperimentFile(document, experiment, models)


def _model_block(name: str, parameters: dict[str, Any], document: Document) -> ModelBlock:
    at = ("experiment", "models", name, "meta")
    meta = validate(Meta, parameters.get("meta") or {}, document, at)
    if meta.restore:
        logger.info(
            "{}: `restore` has no effect: finished trials are always used again", document.where((*at, "restore"))
        )
    return ModelBlock(name, {key: value for key, value in parameters.items() if key != "meta"}, meta)
