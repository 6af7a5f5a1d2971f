"""The splitting block, and the settings of `run_split.py`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from loguru import logger
from pydantic import Field, model_validator

from benchmark.config.data import TableSettings
from benchmark.config.prefiltering import Prefiltering
from benchmark.config.splitting_rules import COLD_START, NamedRecipe, SplittingRule
from benchmark.data.formats.layout import Layout
from benchmark.data.interactions import Duplicates, Interactions
from benchmark.data.prefilters import Prefilter
from benchmark.data.splitters import Parts, split_folds
from workbench.config import Document, Settings, read_yaml, validate
from workbench.errors import UserError


class Splitting(Settings):
    """Elliot's `splitting` block: a rule for each held-out part, or a published recipe for both.

    `validation_splitting` alone is for data whose test part is ready.
    """

    save_on_disk: bool = False
    save_folder: str | None = None
    recipe: NamedRecipe | None = None
    test_splitting: SplittingRule | None = None
    validation_splitting: SplittingRule | None = None

    @model_validator(mode="after")
    def _legal(self) -> Splitting:
        if self.save_on_disk and not self.save_folder:
            raise ValueError("save_on_disk needs a save_folder")
        test, validation = self.test_splitting, self.validation_splitting
        if self.recipe and (test or validation):
            raise ValueError("a recipe makes both parts: remove test_splitting and validation_splitting")
        if not (self.recipe or test or validation):
            raise ValueError("names nothing to hold out: give test_splitting and validation_splitting, or a recipe")
        if validation and validation.strategy in COLD_START and (test is None or test.strategy != validation.strategy):
            raise ValueError(
                f"{validation.strategy} on validation takes users or items out of training that the test part needs: "
                "use it on test, too"
            )
        return self

    def check_data(self, strategy: str, has_validation: bool) -> None:
        """`ValueError` unless this block fits the data: `dataset` (one file), or ready parts under another strategy."""
        if strategy == "dataset":
            if not (self.recipe or self.test_splitting):
                raise ValueError("the strategy dataset needs a test_splitting or a recipe in its `splitting`")
        elif self.recipe or self.test_splitting or has_validation:
            raise ValueError(
                f"the strategy {strategy} reads ready parts: remove `splitting`"
                + ("" if has_validation else " (or keep only its validation_splitting)")
            )

    def folds(self, interactions: Interactions, seed: int) -> list[list[Parts]]:
        """The parts, `[test fold][validation fold]`; needs a recipe or a test_splitting."""
        if self.recipe:
            return [[self.recipe.build().parts(interactions, seed)]]
        assert self.test_splitting is not None
        validation = self.validation_splitting
        return split_folds(interactions, self.test_splitting.build(), validation.build() if validation else None, seed)

    def description(self) -> dict[str, Any]:
        """What determines the parts, besides rows and seed: the names of the rules with all their values."""
        named = {"recipe": self.recipe, "test": self.test_splitting, "validation": self.validation_splitting}
        built = {name: settings.build() for name, settings in named.items() if settings is not None}
        return {name: {"rule": type(rule).__name__, **vars(rule)} for name, rule in built.items()}


class _SplitFile(Settings):
    """The part of an experiment file that `run_split.py` reads."""

    splitting: Splitting
    prefiltering: Prefiltering
    random_seed: Annotated[int, Field(ge=0, lt=2**32)] = 42
    data_config: TableSettings = TableSettings()


@dataclass(frozen=True)
class SplitSettings:
    """How a data set is split; `reviews` None means `data/<dataset>/reviews.tsv`. `layout` is that of the reviews,
    `document` the file that all this was read from, for messages."""

    prefilters: list[tuple[str, Prefilter]]
    splitting: Splitting
    seed: int
    duplicates: Duplicates
    layout: Layout
    reviews: Path | None
    document: Document | None = None

    def recipe(self) -> dict[str, Any]:
        """What determines the split, besides the reviews."""
        prefilters = [[name, vars(prefilter)] for name, prefilter in self.prefilters]
        return {
            "prefilters": prefilters,
            **self.splitting.description(),
            "seed": self.seed,
            "duplicates": self.duplicates,
            "layout": asdict(self.layout),
        }


def read_split_config(dataset: str, path: str | Path | None) -> SplitSettings:
    """Settings from a file; by default `config_files/split_<dataset>.yml`, or 20 % test and 10 % validation."""
    if dataset != Path(dataset).name or dataset in ("", ".", ".."):
        raise UserError(f"{dataset!r} is no data set name", mend="give the name of a folder in data/")
    default = Path("config_files") / f"split_{dataset}.yml"
    if path is None and not default.is_file():
        return SplitSettings([], _default(), 42, "error", Layout(), None)
    document = read_yaml(path or default)
    experiment = document.data.get("experiment")
    if not isinstance(experiment, dict) or "splitting" not in experiment:
        raise UserError(
            "no `splitting` below `experiment:` in this file",
            where=document.where(("experiment",)),
            mend="docs/protocol.md shows a whole file",
        )
    wanted = {key: experiment[key] for key in ("splitting", "prefiltering", "random_seed") if key in experiment}
    data_config = experiment.get("data_config")
    if isinstance(data_config, dict):  # which has more keys than a split needs
        wanted["data_config"] = {key: data_config[key] for key in TableSettings.model_fields if key in data_config}
    elif data_config is not None:
        wanted["data_config"] = data_config
    settings = validate(_SplitFile, wanted, document, at=("experiment",))
    _refuse_half(settings.splitting, document)
    if settings.splitting.save_on_disk:
        where = document.where(("experiment", "splitting", "save_folder"))
        logger.info("{}: `save_folder` has no effect here: the parts are written to data/{}", where, dataset)
    given = data_config.get("dataset_path") if isinstance(data_config, dict) else None
    reviews = document.path.parent / str(given).replace("{0}", dataset) if given else None
    prefilters: list[tuple[str, Prefilter]] = [(rule.strategy, rule.build()) for rule in settings.prefiltering]
    table = settings.data_config
    return SplitSettings(
        prefilters, settings.splitting, settings.random_seed, table.duplicates, table.layout(), reviews, document
    )


def _default() -> Splitting:
    test, validation = (SplittingRule(strategy="random_subsampling", test_ratio=ratio) for ratio in (0.2, 0.1))
    return Splitting(test_splitting=test, validation_splitting=validation)


def _refuse_half(splitting: Splitting, document: Document) -> None:
    where = document.where(("experiment", "splitting"))
    if splitting.recipe is None and splitting.test_splitting is None:
        raise UserError("no test_splitting: there would be no test part", where=where, mend="add a test_splitting")
    if splitting.recipe is None and splitting.validation_splitting is None:
        raise UserError(
            "no validation_splitting: models could only be chosen by their test figures",
            where=where,
            mend="add a validation_splitting",
        )
