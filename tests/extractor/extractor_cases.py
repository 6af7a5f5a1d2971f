"""Configurations, texts and paths that the tests of the extractor share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from workbench.features import FeatureTable

Run = Callable[..., list[FeatureTable]]
SHARED = Path(__file__).resolve().parents[3] / "shared"

TEXTS = {
    "a": "A red kettle of steel, for tea.",
    "b.v1": 'A 9" "blue" lamp with a paper shade.',
    "c": "nan",
    "../x": "Four green chairs, oiled oak, and a long table for a family of eight.",
    "e/f": "Yellow curtains.",
}

DESCRIPTORS = {"model_name": "descriptors", "backend": "classical", "output_layers": "colour"}
TFIDF = {"model_name": "tfidf", "backend": "classical", "output_layers": "tfidf_svd", "dim": 3}
RESNET = {
    "model_name": "ResNet18",
    "backend": "torch",
    "weights": "random",
    "output_layers": "avgpool",
    "reshape": [64, 48],
    "preprocessing": "zscore",
    "batch_size": 3,
}


def write_texts(path: Path, texts: dict[str, str]) -> None:
    lines = ["item\ttitle\tdescription", *(f"{item}\tsome title\t{text}" for item, text in texts.items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8-sig")
