"""Elliot's `data_config`: where interactions and features lie."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, field_validator, model_validator

from benchmark.config.feature_sets import FeatureSet
from benchmark.config.side_information import SideInformation
from benchmark.data.formats.layout import Columns, Format, Layout
from benchmark.data.interactions import Duplicates
from benchmark.data.modalities import MissingItems
from workbench.config import Settings, as_list

Rate = Annotated[float, Field(ge=0, lt=1)]

_NEEDED = {
    "fixed": ("train_path", "test_path"),
    "dataset": ("dataset_path",),
    "hierarchy": ("root_folder",),
    "mmrec": ("dataset_path",),
    "recom_data": ("dataset_path",),
}
_OPTIONAL = {"fixed": ("validation_path", "validation_input_path", "test_input_path")}
_PATHS = sorted({key for keys in (*_NEEDED.values(), *_OPTIONAL.values()) for key in keys})


class ColumnNames(Settings):
    """Which column is which: names of the header (which declares one), or places from 0."""

    user: str | int
    item: str | int
    rating: str | int | None = None
    timestamp: str | int | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _name_or_place(cls, value: Any) -> Any:
        if value is not None and not (isinstance(value, str) and value) and not (type(value) is int and value >= 0):
            raise ValueError("should be a name in the header, or a place from 0")
        return value


class TableSettings(Settings):
    """How a table of interactions is laid out; what is left out is told by its suffix and first line."""

    format: Format | None = None
    columns: ColumnNames | None = None
    separator: str | None = None
    duplicates: Duplicates = "error"

    @field_validator("separator")
    @classmethod
    def _one_character(cls, value: str | None) -> str | None:
        value = "\t" if value == r"\t" else value  # as an unquoted YAML scalar spells it
        if value is not None and (len(value) != 1 or value in '\r\n"'):
            raise ValueError("should be one character, such as a comma, or a tab in double quotes")
        return value

    @model_validator(mode="after")
    def _readable(self) -> TableSettings:
        without = {"separator": ("parquet", "adjacency"), "columns": ("adjacency", "cornac")}
        for key, formats in without.items():
            if getattr(self, key) is not None and self.format in formats:
                raise ValueError(f"the format {self.format} takes no {key}")
        return self

    def layout(self) -> Layout:
        """What these settings say, as the reader takes it."""
        columns = None if self.columns is None else Columns(**self.columns.model_dump())
        return Layout(self.format, columns, self.separator)


class DataConfig(TableSettings):
    """Where interactions and features lie.

    fixed : ready parts; `validation_input_path` and `test_input_path` hold rows that a model is shown of users without
        training rows.
    dataset : one table that `splitting` cuts.
    hierarchy : Elliot's tree of folds below `root_folder`.
    mmrec : a `.inter` file, or its folder, whose column x_label is the split.
    recom_data : a data folder of Align-MacridVAE; its features are loaded where `side_information` is left out.

    missing_rate : share of the items whose features are taken away, or several shares: an axis of the experiment.
    missing_items : whether all modalities lose those of the same items, or each of its own (`independent`).
    feature_sets : what `side_information` names, see `read_feature_sets`: another axis of the experiment.
    """

    model_config = ConfigDict(populate_by_name=False)  # `feature_sets` is no key of the file

    strategy: Literal["fixed", "dataset", "hierarchy", "mmrec", "recom_data"]
    dataset_path: str | None = None
    train_path: str | None = None
    validation_path: str | None = None
    test_path: str | None = None
    validation_input_path: str | None = None
    test_input_path: str | None = None
    root_folder: str | None = None
    missing_rate: Annotated[list[Rate], BeforeValidator(as_list), Field(min_length=1)] = [0.0]
    missing_items: MissingItems = "same"
    feature_sets: Annotated[list[FeatureSet], Field(alias="side_information")] = [FeatureSet()]

    @model_validator(mode="after")
    def _paths(self) -> DataConfig:
        needed = _NEEDED[self.strategy]
        for key in needed:
            if getattr(self, key) is None:
                raise ValueError(f"the strategy {self.strategy} needs {key}")
        for key in _PATHS:
            if key not in (*needed, *_OPTIONAL.get(self.strategy, ())) and getattr(self, key) is not None:
                raise ValueError(f"the strategy {self.strategy} does not read {key}")
        if self.validation_input_path is not None and self.validation_path is None:
            raise ValueError("validation_input_path needs validation_path")
        if self.strategy == "recom_data" and "duplicates" in self.model_fields_set:
            raise ValueError("the strategy recom_data takes no duplicates: its rows are pairs, and a pair counts once")
        if self.strategy in ("hierarchy", "mmrec", "recom_data"):
            for key in ("format", "columns", "separator"):
                if getattr(self, key) is not None:
                    raise ValueError(f"the strategy {self.strategy} knows its files and takes no {key}")
        return self

    @model_validator(mode="after")
    def _axes(self) -> DataConfig:
        if self.missing_rate != [0.0] and not self.side_information:
            raise ValueError("missing_rate takes features away, and side_information loads none")
        if len(set(self.missing_rate)) < len(self.missing_rate):
            raise ValueError("missing_rate names a share twice")
        sizes = {"missing_rate": len(self.missing_rate), "set of features": len(self.feature_sets)}
        axis = next((name for name, size in sizes.items() if size > 1), None)
        if axis is not None and any(each.drops for each in self.feature_sets):
            raise ValueError(
                f"under `missing: drop` each {axis} leaves another data set: "
                "run one experiment for each, or take another policy"
            )
        return self

    @property
    def has_validation(self) -> bool:
        """Whether what is read has a validation part for certain."""
        return self.validation_path is not None or self.strategy == "recom_data"

    @property
    def side_information(self) -> list[SideInformation]:
        """The loaders of all sets, each once."""
        return list(dict.fromkeys(side for each in self.feature_sets for side in each.loaders))
