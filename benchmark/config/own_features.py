"""Features that a data folder brings with it, for experiments that name no loaders."""

from __future__ import annotations

from typing import Any

from loguru import logger

from benchmark.config.feature_sets import FeatureSet
from benchmark.config.side_information import MissingSettings, SideInformation
from benchmark.data.formats.recom_data import MATRICES, is_blank
from workbench.config import Document


def with_own_features(block: Any, document: Document) -> Any:
    """The block `experiment` of one data set; under `recom_data` without `side_information`, with its loaders.

    A matrix of zeros stands for a modality that is not there, so it gets no loader. One that is not there at all gets
    one, and is missed by whoever reads it.

    Raises
    ------
    UserError : a matrix that cannot be read.
    """
    data = block.get("data_config") if isinstance(block, dict) else None
    if not isinstance(data, dict) or data.get("strategy") != "recom_data" or "side_information" in data:
        return block
    given = data.get("dataset_path")
    if not isinstance(given, str):
        return block  # refused with the other keys
    folder = given.rstrip("/").replace("{0}", str(block.get("dataset")))
    loaders = []
    for modality, name in MATRICES.items():
        path = document.path.parent / folder / name
        if path.is_file() and is_blank(path):
            logger.info("{}: nothing but zeros, so the data have no {} features", path, modality)
            continue
        attribute = {"dataloader": f"{modality.title()}Attribute", f"{modality}_features": f"{folder}/{name}"}
        loaders.append(SideInformation(**attribute, missing=MissingSettings(policy="zeros")))
    return {**block, "data_config": {**data, "side_information": [FeatureSet("", tuple(loaders))]}}
