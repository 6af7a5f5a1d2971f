"""Content -> features: one vector per item, backbone and layer.

    from extractor import extract
    tables = extract("config_files/extract_demo.yml")

Importing this package loads no backbone library; each is loaded by the backend that needs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.features import FeatureTable

__all__ = ["extract"]


def extract(
    config: str | Path,
    overrides: Mapping[str, Any] | None = None,
    weights_root: str | Path | None = None,
    shard: str | None = None,
) -> list[FeatureTable]:
    """Extract every feature table that a configuration asks for; finished tables are used again.

    A run that was stopped goes on where it was: only the chunks that are missing are computed.

    Parameters
    ----------
    config : Ducho's YAML, or a folder with one YAML file in it.
    overrides : dotted keys and their values, for example `{"textual.items.model.0.batch_size": 64}`.
    weights_root : folder that maps model names to local weights; default: `BOTTEGA_WEIGHTS_ROOT`, else none.
    shard : `2/8` computes the second of eight shares; whoever brings the last chunk of a table puts it together.

    Returns
    -------
    One open table for each layer asked for, in the order of the configuration; with `shard`, the finished ones.

    Raises
    ------
    UserError : anything that the user can mend; the sentence says how.
    """
    from extractor.chunks import Shard
    from extractor.extraction import run_extraction

    share = None if shard is None else Shard.parse(shard)
    return run_extraction(config, list((overrides or {}).items()), weights_root, share)
