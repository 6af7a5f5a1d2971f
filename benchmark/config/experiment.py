"""The experiment file: what `run_experiment.py` reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, ConfigDict, Field, PositiveInt, field_validator, model_validator

from benchmark.config.data import DataConfig
from benchmark.config.evaluation import Evaluation
from benchmark.config.executor import ExecutorSettings
from benchmark.config.feature_sets import read_feature_sets
from benchmark.config.foreign import set_aside
from benchmark.config.meta import Meta
from benchmark.config.own_features import with_own_features
from benchmark.config.prefiltering import Prefiltering
from benchmark.config.sampling import NegativeSampling
from benchmark.config.splitting import Splitting
from benchmark.config.tracking import TrackingSettings
from workbench.config import Document, Settings, apply_overrides, as_list, read_yaml, validate
from workbench.errors import UserError

Seed = Annotated[int, Field(ge=0, lt=2**32)]


class Experiment(Settings):
    """Everything below `experiment:`.

    seeds : seeds under which the chosen configuration is trained and tested, or how many of them, counted up from the
        model's own; the table then shows mean and deviation.
    random_seeds : seeds of whatever is drawn outside the models, the split above all. Under several the split is made
        under each, and all of them are test folds of the experiment; each draws its negatives, its noise and its
        missing features under its own.
    threads : of the processor, for each trial.
    executor : where trials run; tracking : other systems that are told of them.
    print_results_as_triplets : whether figures are also written as model, metric and value.
    """

    model_config = ConfigDict(populate_by_name=False)  # `random_seeds` is no key of the file

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
    random_seeds: Annotated[list[Seed], BeforeValidator(as_list), Field(alias="random_seed", min_length=1)] = [42]
    threads: PositiveInt | None = None
    executor: ExecutorSettings = ExecutorSettings()
    tracking: TrackingSettings | None = None
    print_results_as_triplets: bool = False
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
            self.splitting.check_data(data.strategy, data.has_validation)
        elif data.strategy == "dataset":
            raise ValueError("the strategy dataset needs a `splitting` block")
        if data.strategy != "dataset" and self.prefiltering:
            raise ValueError(f"the strategy {data.strategy} reads ready parts: remove `prefiltering`")
        if len(set(self.random_seeds)) < len(self.random_seeds):
            raise ValueError("random_seed names a seed twice")
        if len(self.random_seeds) > 1 and self.splitting is None:  # and so the strategy is not `dataset`
            raise ValueError(
                f"random_seed lists seeds to split under, and the strategy {data.strategy} reads ready parts: "
                "keep one, or add a validation_splitting that draws"
            )
        seeded = [name for name, given in self.models.items() if isinstance((given or {}).get("seed"), list)]
        if self.seeds is not None and seeded:
            raise ValueError(
                f"`seeds` repeats what was chosen, and {seeded[0]} chooses among a list under `seed`: keep one"
            )
        return self

    @property
    def random_seed(self) -> int:
        """The seed of what is drawn once for the whole experiment; of one split, its seed."""
        return self.random_seeds[0]

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
    text : the file word for word, or written anew where the command line or a list of data sets makes it another.
    """

    document: Document
    experiment: Experiment
    models: list[ModelBlock]
    text: str

    def path(self, given: str) -> Path:
        """A path of the file: relative to the file's folder, `{0}` is the data set."""
        return self.document.path.parent / given.replace("{0}", self.experiment.dataset)

    def under_seed(self, seed: int) -> ExperimentFile:
        """The same file as one of its splits sees it, under the seed of that split."""
        return replace(self, experiment=self.experiment.model_copy(update={"random_seeds": [seed]}))


def read_experiment_config(path: str | Path) -> ExperimentFile:
    """Read and check an experiment file of one data set; see `read_experiment_configs`."""
    first, *others = read_experiment_configs(path)
    if others:
        raise UserError(
            f"{1 + len(others)} data sets, and one is expected here",
            where=first.document.where(("experiment", "dataset")),
            mend="keep one",
        )
    return first


def read_experiment_configs(path: str | Path, overrides: Iterable[tuple[str, str]] = ()) -> list[ExperimentFile]:
    """Read and check an experiment file (model parameters are checked later, by the model that owns them).

    Parameters
    ----------
    overrides : dotted keys of the file and their values, see `workbench.config.apply_overrides`.

    Returns
    -------
    One file a data set, in the order of `dataset`; its document is what the file would be for that data set alone.

    Raises
    ------
    UserError : a fault in the file, with its line.
    """
    as_written = read_yaml(path)
    source = as_written.path.read_text(encoding="utf-8-sig")
    document = apply_overrides(as_written, overrides, root="experiment")
    extra = sorted(map(str, set(document.data) - {"experiment"}))
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
        data = block.get("data_config")
        if isinstance(data, dict) and "side_information" in data:
            here = (*at, "data_config", "side_information")
            data["side_information"] = read_feature_sets(data["side_information"], document, here)
    each_alone = _one_each(block, document)
    experiments = [validate(Experiment, with_own_features(each, document), document, at) for each in each_alone]
    models = [_model_block(name, given or {}, document) for name, given in experiments[0].models.items()]
    files = []
    for experiment in experiments:
        own = {"experiment": {**document.data["experiment"], "dataset": experiment.dataset}}
        text = source if own == as_written.data else yaml.safe_dump(own, sort_keys=False, allow_unicode=True)
        files.append(ExperimentFile(replace(document, data=own), experiment, models, text))
    return files


def _one_each(block: Any, document: Document) -> list[Any]:
    """The block once for each data set that it names."""
    given = block.get("dataset") if isinstance(block, dict) else None
    if not isinstance(given, list):
        return [block]
    if not given or any(given.count(name) > 1 for name in given):
        raise UserError(
            "`experiment.dataset` names no data set" if not given else "`experiment.dataset` names a data set twice",
            where=document.where(("experiment", "dataset")),
            mend="name each data set once",
        )
    return [{**block, "dataset": name} for name in given]


def _model_block(name: str, parameters: dict[str, Any], document: Document) -> ModelBlock:
    at = ("experiment", "models", name, "meta")
    meta = validate(Meta, parameters.get("meta") or {}, document, at)
    return ModelBlock(name, {key: value for key, value in parameters.items() if key != "meta"}, meta)
