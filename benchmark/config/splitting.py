"""The splitting block, and the settings of `run_split.py`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from loguru import logger
from pydantic import Field, PositiveInt, model_validator

from benchmark.config.prefiltering import Prefiltering
from benchmark.data.interactions import Duplicates
from benchmark.data.prefilters import Prefilter
from benchmark.data.splitters import FixedTimestamp, RandomSubsampling, Splitter, TemporalHoldOut
from workbench.config import Document, Settings, read_yaml, validate
from workbench.errors import UserError

_NEEDS = {
    "random_subsampling": ({"test_ratio"}, {"leave_n_out"}),
    "temporal_hold_out": ({"test_ratio"}, {"leave_n_out"}),
    "fixed_timestamp": ({"timestamp"}, {"timestamp", "min_below", "min_over"}),
}


class SplittingRule(Settings):
    """How one part is held out.

    random_subsampling, temporal_hold_out : `test_ratio` (a share of each user's rows) or `leave_n_out` (a number).
    fixed_timestamp : `timestamp`, unix seconds or `best` (then with `min_below` and `min_over` rows a user).
    """

    strategy: Literal["random_subsampling", "temporal_hold_out", "fixed_timestamp"]
    test_ratio: Annotated[float, Field(gt=0, lt=1)] | None = None
    leave_n_out: Annotated[int, Field(ge=1)] | None = None
    timestamp: int | Literal["best"] | None = None
    min_below: PositiveInt | None = None
    min_over: PositiveInt | None = None
    folds: Literal[1] = 1

    @model_validator(mode="after")
    def _own_keys(self) -> SplittingRule:
        keys = ("test_ratio", "leave_n_out", "timestamp", "min_below", "min_over")
        given = {key for key in keys if getattr(self, key) is not None}
        legal = _NEEDS[self.strategy]
        if given not in legal:
            choice = ", or ".join(" and ".join(sorted(needed)) for needed in legal)
            raise ValueError(f"{self.strategy} takes {choice}; given: {', '.join(sorted(given)) or 'none'}")
        if self.min_below is not None and self.timestamp != "best":
            raise ValueError("min_below and min_over go with `timestamp: best`")
        return self

    def build(self) -> Splitter:
        """The splitter that this rule describes."""
        if self.strategy == "fixed_timestamp":
            assert self.timestamp is not None
            return FixedTimestamp(self.timestamp, self.min_below or 1, self.min_over or 1)
        kind = RandomSubsampling if self.strategy == "random_subsampling" else TemporalHoldOut
        return kind(self.test_ratio, self.leave_n_out)


class Splitting(Settings):
    """Elliot's `splitting` block."""

    save_on_disk: bool = False
    save_folder: str | None = None
    test_splitting: SplittingRule
    validation_splitting: SplittingRule | None = None

    @model_validator(mode="after")
    def _folder(self) -> Splitting:
        if self.save_on_disk and not self.save_folder:
            raise ValueError("save_on_disk needs a save_folder")
        return self


class _SplitFile(Settings):
    """The part of an experiment file that `run_split.py` reads."""

    splitting: Splitting
    prefiltering: Prefiltering
    random_seed: int = 42
    duplicates: Duplicates = "error"


@dataclass(frozen=True)
class SplitSettings:
    """How a data set is split; `reviews` None means `data/<dataset>/reviews.tsv`."""

    prefilters: list[tuple[str, Prefilter]]
    test: Splitter
    validation: Splitter
    seed: int
    duplicates: Duplicates
    reviews: Path | None

    def recipe(self) -> dict[str, Any]:
        """What determines the split, besides the reviews."""
        rules = {"test": self.test, "validation": self.validation}
        parts = {name: {"rule": type(rule).__name__, **vars(rule)} for name, rule in rules.items()}
        prefilters = [[name, vars(prefilter)] for name, prefilter in self.prefilters]
        return {"prefilters": prefilters, **parts, "seed": self.seed, "duplicates": self.duplicates}


def read_split_config(dataset: str, path: str | Path | None) -> SplitSettings:
    """Settings from a file; by default `config_files/split_<dataset>.yml`, or 20 % test and 10 % validation."""
    if dataset != Path(dataset).name or dataset in ("", ".", ".."):
        raise UserError(f"{dataset!r} is no data set name", mend="give the name of a folder in data/")
    default = Path("config_files") / f"split_{dataset}.yml"
    if path is None and not default.is_file():
        return SplitSettings([], RandomSubsampling(0.2), RandomSubsampling(0.1), 42, "error", None)
    document = read_yaml(path or default)
    experiment = document.data.get("experiment")
    if not isinstance(experiment, dict) or "splitting" not in experiment:
        raise UserError(
            "no `splitting` below `experiment:` in this file",
            where=document.where(("experiment",)),
            mend="docs/protocol.md shows a whole file",
        )
    wanted = {key: experiment[key] for key in ("splitting", "prefiltering", "random_seed") if key in experiment}
    data_config = experiment.get("data_config") or {}
    if "duplicates" in data_config:
        wanted["duplicates"] = data_config["duplicates"]
    settings = validate(_SplitFile, wanted, document, at=("experiment",))
    if settings.splitting.validation_splitting is None:
        raise UserError(
            "no validation_splitting: models could only be chosen by their test figures",
            where=document.where(("experiment", "splitting")),
            mend="add a validation_splitting",
        )
    if settings.splitting.save_on_disk:
        where = document.where(("experiment", "splitting", "save_folder"))
        logger.info("{}: `save_folder` has no effect here: the parts are written to data/{}", where, dataset)
    reviews = _reviews(data_config, dataset, document)
    splitting = settings.splitting
    assert splitting.validation_splitting is not None
    return SplitSettings(
        [(rule.strategy, rule.build()) for rule in settings.prefiltering],
        splitting.test_splitting.build(),
        splitting.validation_splitting.build(),
        settings.random_seed,
        settings.duplicates,
        reviews,
    )


def _reviews(data_config: dict[str, Any], dataset: str, document: Document) -> Path | None:
    given = data_config.get("dataset_path")
    return document.path.parent / str(given).replace("{0}", dataset) if given else None
