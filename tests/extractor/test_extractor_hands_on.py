"""The extraction of the hands-on by the real launcher, its file unchanged, from weights under one root."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from extractor_cases import SHARED

from workbench.features import open_table

ROOT = Path(__file__).resolve().parents[2]
TABLES = {
    "visual_embeddings_32/torch/ResNet50/avgpool": 2048,
    "textual_embeddings_32/sentence_transformers/sentence-transformers/all-mpnet-base-v2/1": 32,
    "visual_embeddings_32/transformers/openai/clip-vit-base-patch16/1": 6,
    "textual_embeddings_32/transformers/openai/clip-vit-base-patch16/1": 6,
}


def weights(root: Path, tiny: Callable[[str], Path]) -> None:
    """Random weights under the names of the hands-on: ResNet50 itself, the two others tiny."""
    from sentence_transformers import SentenceTransformer
    from torchvision.models import resnet50

    torch.save(resnet50(weights=None).state_dict(), root / "resnet50-11ad3fa6.pth")
    mpnet = SentenceTransformer(str(tiny("bert")), device="cpu")
    mpnet.save(str(root / "sentence-transformers" / "all-mpnet-base-v2"))
    (root / "openai").mkdir()
    (root / "openai" / "clip-vit-base-patch16").symlink_to(tiny("clip"))


def test_the_file_runs_unchanged(tmp_path: Path, catalogue: Path, tiny: Callable[[str], Path]) -> None:
    config = SHARED / "reference" / "hands_on" / "extract.yml"
    if not config.is_file():
        pytest.skip(f"{config} is not there")
    office = tmp_path / "local" / "data" / "demo_office"
    office.mkdir(parents=True)
    shutil.move(catalogue / "images", office / "images")
    lines = (catalogue / "meta.tsv").read_text(encoding="utf-8-sig").replace("item\ttitle", "asin\ttitle", 1)
    (office / "meta.tsv").write_text(lines)
    root = tmp_path / "root"
    root.mkdir()
    weights(root, tiny)
    command = [sys.executable, str(ROOT / "extractor" / "run.py"), "--config", str(config), "--weights-root", str(root)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}

    def launch() -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)

    first = launch()
    assert first.returncode == 0, first.stderr
    for name, dim in TABLES.items():
        table = open_table(office / name)
        assert table.dim == dim
        assert len(table.ids) == 5 - ("visual" in name or "clip" in name)
        row = np.load(table.path / "b.v1.npy")
        assert (row.shape, row.dtype) == ((1, dim), np.float32)
        np.testing.assert_array_equal(row, table.gather(["b.v1"])[0])
    assert "e/f" in (office / "visual_embeddings_32" / "quarantine.tsv").read_text()
    assert "4 feature tables" in first.stderr
