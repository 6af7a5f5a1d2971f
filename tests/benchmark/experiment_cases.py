"""A small shop with features, and experiment files for it."""

from __future__ import annotations

import contextlib
import copy
import io
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from bench_cases import random_reviews, write_rows
from support import write_table

from benchmark.prepare import prepare

N_ITEMS = 40
VISUAL, TEXTUAL = "torch/R/pool", "sentence_transformers/org/name/1"

BASE: dict[str, Any] = {
    "dataset": "shop",
    "top_k": 10,
    "data_config": {
        "strategy": "fixed",
        "train_path": "../data/{0}/train_indexed.tsv",
        "validation_path": "../data/{0}/val_indexed.tsv",
        "test_path": "../data/{0}/test_indexed.tsv",
        "side_information": [
            {
                "dataloader": "VisualAttribute",
                "visual_features": f"../data/{{0}}/visual_embeddings_indexed_32/{VISUAL}",
            },
            {
                "dataloader": "TextualAttribute",
                "textual_features": f"../data/{{0}}/textual_embeddings_indexed_32/{TEXTUAL}",
            },
        ],
    },
    "evaluation": {"cutoffs": [5, 10], "simple_metrics": ["Recall", "nDCG", "HR"], "mask": "train+val"},
    "models": {},
}
QUICK = {"epochs": 4, "batch_size": 128, "factors": 4, "seed": 1}


def draw_shop(root: Path) -> Path:
    """`data/shop` below `root`: reviews and two feature tables."""
    folder = root / "data" / "shop"
    write_rows(folder / "reviews.tsv", random_reviews(0))
    items = [f"i{number}" for number in range(N_ITEMS)]
    rng = np.random.default_rng(1)
    for output, layer, dim in (("visual_embeddings_32", VISUAL, 6), ("textual_embeddings_32", TEXTUAL, 3)):
        write_table(folder / output / layer, items, rng.standard_normal((N_ITEMS, dim)).astype(np.float32))
    return folder


def split_quietly(name: str = "shop") -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        prepare(name)


def merged(base: Any, changes: Any) -> Any:
    """`base` with nested changes; None removes a key."""
    if not (isinstance(base, dict) and isinstance(changes, dict)):
        return copy.deepcopy(changes)
    result = copy.deepcopy(base)
    for key, value in changes.items():
        if value is None and key in result:
            del result[key]
        else:
            result[key] = merged(result.get(key), value)
    return result


def experiment(place: Path, models: dict[str, Any], name: str = "x", **changes: Any) -> Path:
    """Write `config_files/<name>.yml`: the base with changes."""
    path = place / "config_files" / f"{name}.yml"
    path.parent.mkdir(exist_ok=True)
    content = {"experiment": {**merged(BASE, changes), "models": models}}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def results(folder: Path) -> dict[str, dict[str, str]]:
    """`results.tsv` by model and column."""
    header, *lines = [line.split("\t") for line in (folder / "results.tsv").read_text().splitlines()]
    return {line[0]: dict(zip(header, line, strict=True)) for line in lines}
