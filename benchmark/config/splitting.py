"""The splitting block, and the settings of `run_split.py`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from benchmark.data.interactions import Duplicates
from benchmark.data.splitters import RandomSubsampling
from workbench.config import Document, Settings, read_yaml, validate
from workbench.errors import UserError


class SplittingRule(Settings):
    """How one part is held out: `test_ratio` (a share of each user's rows) or `leave_n_out` (a number of them)."""

    strategy: Literal["random_subsampling"]
    test_ratio: Annotated[float, Field(gt=0, lt=1)] | None = None
    leave_n_out: Annotated[int, Field(ge=1)] | None = None
    folds: Literal[1] = 1

    @model_validator(mode="after")
    def _one_size(self) -> SplittingRule:
        if (self.test_ratio is None) == (self.leave_n_out is None):
            raise ValueError("give one of test_ratio and leave_n_out")
        return self

    def build(self) -> RandomSubsampling:
        return RandomSubsampling(self.test_ratio, self.leave_n_out)


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
    random_seed: int = 42
    duplicates: Duplicates = "error"


@dataclass(frozen=True)
class SplitSettings:
    """How a data set is split; `reviews` None means `data/<dataset>/reviews.tsv`."""

    test: RandomSubsampling
    validation: RandomSubsampling
    seed: int
    duplicates: Duplicates
    reviews: Path | None

    def recipe(self) -> dict[str, Any]:
        """What determines the split, besides the reviews."""
        rules = {"test": vars(self.test), "validation": vars(self.validation)}
        return {"strategy": "random_subsampling", **rules, "seed": self.seed, "duplicates": self.duplicates}


def read_split_config(dataset: str, path: str | Path | None) -> SplitSettings:
    """Settings from a file; by default `config_files/split_<dataset>.yml`, or 20 % test and 10 % validation."""
    if dataset != Path(dataset).name or dataset in ("", ".", ".."):
        raise UserError(f"{dataset!r} is no data set name", mend="give the name of a folder in data/")
    default = Path("config_files") / f"split_{dataset}.yml"
    if path is None and not default.is_file():
        return SplitSettings(RandomSubsampling(0.2), RandomSubsampling(0.1), 42, "error", None)
    document = read_yaml(path or default)
    experiment = document.data.get("experiment")
    if not isinstance(experiment, dict) or "splitting" not in experiment:
        raise UserError("no `experiment.splitting` in this file", where=document.where(("experiment",)), mend="add it")
    wanted = {key: experiment[key] for key in ("splitting", "random_seed") if key in experiment}
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
    reviews = _reviews(data_config, dataset, document)
    splitting = settings.splitting
    assert splitting.validation_splitting is not None
    return SplitSettings(
        splitting.test_splitting.build(),
        splitting.validation_splitting.build(),
        settings.random_seed,
        settings.duplicates,
        reviews,
    )


def _reviews(data_config: dict[str, Any], dataset: str, document: Document) -> Path | None:
    given = data_config.get("dataset_path")
    return document.path.parent / str(given).replace("{0}", dataset) if given else None
