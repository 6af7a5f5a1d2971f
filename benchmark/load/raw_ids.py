"""The raw ids behind the parts of an experiment file."""

from __future__ import annotations

from pathlib import Path

from benchmark.config import ExperimentFile
from benchmark.data.raw_ids import NO_MAPS, RawIds, read_raw_ids
from benchmark.prepare.layout import INDEXED_TREE


def raw_ids_of(file: ExperimentFile) -> RawIds:
    """The maps beside `*_indexed.tsv` parts or an indexed tree of folds; none for parts under raw ids."""
    config = file.experiment.data_config
    train, root = config.train_path, config.root_folder
    if train is not None and Path(train).name.endswith("_indexed.tsv"):
        return read_raw_ids(file.path(train).parent)
    if root is not None and Path(root).name == INDEXED_TREE:
        return read_raw_ids(file.path(root).parent)
    return NO_MAPS
