"""What the tests of all floors share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # before anything imports torch
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # a core a worker
    os.environ.pop("COLUMNS", None)  # of the terminal that started the tests, which these tests do not write to

import pytest
from loguru import logger
from support import REAL_DATA


@pytest.fixture
def log() -> Iterator[list[str]]:
    """Every log line from here on, as `LEVEL message`."""
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(str(line).rstrip("\n")), format="{level} {message}", level="DEBUG")
    yield lines
    logger.remove(sink)


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """The folder of a real data set; the test is skipped where it is absent."""

    def find(name: str) -> Path:
        folder = REAL_DATA / name
        if not folder.is_dir():
            pytest.skip(f"the data set {name} is not there (looked in {REAL_DATA})")
        return folder

    return find
