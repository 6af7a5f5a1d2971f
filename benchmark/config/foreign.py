"""Elliot's keys that have no counterpart here: named to the user, never swallowed."""

from __future__ import annotations

from typing import Any

from loguru import logger

from workbench.config import Document, Location
from workbench.errors import UserError

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
NOT_YET = {
    "print_results_as_triplets": "results.json holds every value",
}


def set_aside(block: Any, document: Document, at: Location) -> Any:
    """`block` without the keys that have no effect here, each named; a key that would change figures is refused."""
    if not isinstance(block, dict):
        return block
    kept = {}
    for key, value in block.items():
        if key in WITHOUT_EFFECT:
            logger.info("{}: `{}` has no effect here: {}", document.where((*at, key)), key, WITHOUT_EFFECT[key])
        elif key in NOT_YET and value:
            raise UserError(
                f"`{key}` is not supported yet",
                where=document.where((*at, key)),
                mend=f"remove it; {NOT_YET[key]}",
            )
        elif key not in NOT_YET:
            kept[key] = value
    return kept
