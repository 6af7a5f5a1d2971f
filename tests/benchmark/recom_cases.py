"""A small data folder of Align-MacridVAE's, written by hand, and experiment files for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

Pair = tuple[int, int]

NAME = "Toys-clip_clip"
N_USERS, N_ITEMS = 14, 24
UNSEEN = N_ITEMS - 1  # an item that stands in no part
IDLE = N_USERS - 1  # a user who has nothing to find at test
USERS = [f"user {number}" for number in range(N_USERS)]
ITEMS = [*(f"B{number:02}" for number in range(N_ITEMS - 3)), 'a,"b"', "7", "unseen"]
BLANK = [2, 5]  # items without a picture


def draw_parts(seed: int = 0) -> dict[str, list[Pair]]:
    """6 to 10 items a user, 60/20/20; a training pair and a test pair stand twice, one pair in training and test."""
    rng = np.random.default_rng(seed)
    parts: dict[str, list[Pair]] = {"train": [], "validation": [], "test": []}
    for user in range(N_USERS):
        items = rng.permutation(N_ITEMS - 1)[: rng.integers(6, 11)].tolist()
        first, second = int(0.6 * len(items)), int(0.8 * len(items))
        parts["train"] += [(user, item) for item in items[:first]]
        parts["validation"] += [(user, item) for item in items[first:second]]
        parts["test"] += [(user, item) for item in items[second:] if user != IDLE]
    both = parts["train"][0]
    parts["train"].append(parts["train"][4])
    parts["test"] += [parts["test"][3], both]
    return parts


def write_ids(path: Path, header: str, ids: Sequence[str]) -> None:
    cells = ['"' + each.replace('"', '""') + '"' if '"' in each or "," in each else each for each in ids]
    path.write_text(header + "\n" + "".join(f"{cell},{number}\n" for number, cell in enumerate(cells)))


def write_part(path: Path, pairs: Sequence[Pair]) -> None:
    path.write_text("user,item\n" + "".join(f"{user},{item}\n" for user, item in pairs))


def draw_folder(folder: Path, parts: dict[str, list[Pair]] | None = None) -> Path:
    """The folder: pictures (I, 6) of which two items have none, texts (I, 4), both float64."""
    folder.mkdir(parents=True)
    for part, pairs in (parts or draw_parts()).items():
        write_part(folder / f"{part}.txt", pairs)
    write_ids(folder / "users.txt", ",0", USERS)
    write_ids(folder / "items.txt", ",item_id", ITEMS)
    rng = np.random.default_rng(1)
    pictures = rng.standard_normal((N_ITEMS, 6))
    pictures[BLANK] = 0
    np.save(folder / "embed_image.npy", pictures)
    np.save(folder / "embed_text.npy", rng.standard_normal((N_ITEMS, 4)))
    return folder


def experiment_file(place: Path, models: dict[str, Any], name: str = "x", **changes: Any) -> Path:
    """`config_files/<name>.yml`, which reads `RecomData/<NAME>` under the legacy protocol."""
    content = {
        "dataset": NAME,
        "top_k": 100,
        "data_config": {"strategy": "recom_data", "dataset_path": "../RecomData/{0}"},
        "evaluation": {
            "legacy": "align_macridvae",
            "cutoffs": [2, 5, 20, 100],
            "simple_metrics": ["NDCG", "Recall", "MAP"],
        },
        "models": models,
        **changes,
    }
    path = place / "config_files" / f"{name}.yml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump({"experiment": content}, sort_keys=False))
    return path
