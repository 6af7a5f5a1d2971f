"""`data_config`: which keys go together, and what is said where they do not."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from benchmark.config.data import DataConfig
from benchmark.data.formats.layout import Columns, Layout

FIXED = {"strategy": "fixed", "train_path": "a", "test_path": "b"}


def test_what_is_left_out_is_left_to_the_file() -> None:
    assert DataConfig.model_validate(FIXED).layout() == Layout()


def test_format_columns_and_separator_become_a_layout() -> None:
    given = {"format": "csv", "columns": {"user": "who", "item": 3, "timestamp": "when"}, "separator": ";"}
    layout = DataConfig.model_validate({**FIXED, **given}).layout()
    assert layout == Layout("csv", Columns("who", 3, None, "when"), ";")


def test_a_tab_may_be_spelt_out() -> None:
    assert DataConfig.model_validate({**FIXED, "separator": "\\t"}).layout().separator == "\t"


@pytest.mark.parametrize(
    "config",
    [
        {**FIXED, "validation_path": "c", "validation_input_path": "d", "test_input_path": "e"},
        {"strategy": "dataset", "dataset_path": "a", "duplicates": "max"},
        {"strategy": "hierarchy", "root_folder": "a"},
        {"strategy": "mmrec", "dataset_path": "a"},
    ],
)
def test_each_strategy_takes_its_keys(config: dict[str, Any]) -> None:
    DataConfig.model_validate(config)


@pytest.mark.parametrize(
    ("config", "what"),
    [
        ({"strategy": "hierarchy"}, "the strategy hierarchy needs root_folder"),
        ({"strategy": "mmrec"}, "the strategy mmrec needs dataset_path"),
        ({**FIXED, "root_folder": "x"}, "the strategy fixed does not read root_folder"),
        ({"strategy": "dataset", "dataset_path": "x", "test_input_path": "y"}, "does not read test_input_path"),
        ({**FIXED, "validation_input_path": "x"}, "validation_input_path needs validation_path"),
        ({"strategy": "hierarchy", "root_folder": "x", "format": "tsv"}, "takes no format"),
        ({"strategy": "mmrec", "dataset_path": "x", "separator": ","}, "takes no separator"),
        ({**FIXED, "format": "xls"}, "Input should be 'tsv', 'csv'"),
        ({**FIXED, "format": "adjacency", "columns": {"user": 0, "item": 1}}, "the format adjacency takes no columns"),
        ({**FIXED, "format": "parquet", "separator": ","}, "the format parquet takes no separator"),
        ({**FIXED, "separator": "::"}, "should be one character"),
        ({**FIXED, "columns": {"user": 0}}, "item"),
        ({**FIXED, "columns": {"user": -1, "item": 1}}, "a place from 0"),
        ({**FIXED, "columns": {"user": True, "item": 1}}, "a place from 0"),
        ({**FIXED, "columns": {"user": "", "item": 1}}, "a place from 0"),
        ({**FIXED, "duplicates": "mean"}, "'error', 'first', 'last' or 'max'"),
    ],
)
def test_keys_that_do_not_go_together_are_refused(config: dict[str, Any], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        DataConfig.model_validate(config)
