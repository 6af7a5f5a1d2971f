"""Fixtures of the bench."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from experiment_cases import draw_shop, split_quietly


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """Tiny tensors are slower on several threads, and results are then the same on every machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """An empty folder as the working directory."""
    before = Path.cwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(before)


@pytest.fixture
def shop(place: Path) -> Path:
    """The small shop, split, in `data/shop` of the working directory; returns the working directory."""
    draw_shop(place)
    split_quietly()
    return place
