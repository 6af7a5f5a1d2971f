"""Elliot's keys that have no counterpart here: named to the user, never swallowed."""

from __future__ import annotations

from typing import Any

from loguru import logger

from workbench.config import Document, Location

WITHOUT_EFFECT = {
    "version": "no version of another framework is checked",
    "path_logger_config": "logging needs no configuration",
    "path_log_folder": "what is printed can be rebuilt from the results folder",
    "path_output_rec_result": "everything lies in results/<dataset>/<experiment>/",
    "path_output_rec_weight": "everything lies in results/<dataset>/<experiment>/",
    "path_output_rec_performance": "everything lies in results/<dataset>/<experiment>/",
    "external_posthoc_path": "there are no post-hoc plug-ins",
    "dataloader": "there is one loader",
    "config_test": "the whole file is always checked before anything runs",
}


def set_aside(block: Any, document: Document, at: Location) -> Any:
    """`block` without the keys that have no effect here, each named."""
    if not isinstance(block, dict):
        return block
    for key in (key for key in block if key in WITHOUT_EFFECT):
        logger.info("{}: `{}` has no effect here: {}", document.where((*at, key)), key, WITHOUT_EFFECT[key])
    return {key: value for key, value in block.items() if key not in WITHOUT_EFFECT}
