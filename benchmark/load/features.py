"""The features of an experiment file."""

from __future__ import annotations

from benchmark.config import ExperimentFile
from benchmark.data.dataset import Dataset
from benchmark.data.modalities import Modality, load_modality


def load_modalities(file: ExperimentFile, dataset: Dataset) -> list[Modality]:
    """The features that `side_information` names, in the order of the data set's items."""
    items = dataset.item_ids[: dataset.n_items]
    seed = file.experiment.random_seed
    return [
        load_modality(side.modality, file.path(side.features), items, side.missing, side.control, seed)
        for side in file.experiment.data_config.side_information
    ]
