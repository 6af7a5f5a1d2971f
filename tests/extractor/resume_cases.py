"""What the tests of interrupted and shared extractions have in common."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from support import tree

from extractor.backends.visual_classical import Backend


def draw_images(folder: Path, count: int, seed: int = 0) -> None:
    """`count` small pictures, no two alike: `i000.png`, ..."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for number in range(count):
        Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(folder / f"i{number:03}.png")


def comparable(output: Path) -> dict[str, bytes]:
    """Every file below a folder of tables, hidden ones too; manifests without `run`, which holds timings."""
    files = tree(output)
    for name, content in files.items():
        if name.endswith(".json"):
            manifest = json.loads(content)
            del manifest["run"]
            files[name] = json.dumps(manifest).encode()
    return files


def stop_before(place: int) -> Callable[..., Any]:
    """An `encode` of the classical visual backbone that fails at its `place`-th call, from 0."""
    encode, calls = Backend.encode, 0

    def failing(self: Backend, batch: Any) -> Any:
        nonlocal calls
        if calls == place:
            raise MemoryError
        calls += 1
        return encode(self, batch)

    return failing
