"""Kill an extraction again and again, and compare: `python killing.py FOLDER SEED` (run by the tests of resuming).

Prints how many of twenty came to their end before they were killed, and the seconds of an undisturbed run.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

# before the forks, so that each begins at once
import skimage.color
import skimage.feature  # noqa: F401
import sklearn.decomposition
import sklearn.feature_extraction.text  # noqa: F401
from loguru import logger
from resume_cases import comparable

from extractor import extract

BASE = Path(sys.argv[1])


def fork() -> int:
    number = os.fork()
    if number == 0:
        status = 1
        try:
            extract(BASE / "extract.yml")
            status = 0
        finally:
            os._exit(status)
    return number


def killed_after(seconds: float) -> bool:
    """Whether the kill came too late."""
    number = fork()
    time.sleep(seconds)
    os.kill(number, signal.SIGKILL)
    return os.waitpid(number, 0)[1] == 0


def whole() -> dict[str, bytes]:
    """What a run that nobody disturbs makes of what is there; then nothing is there."""
    assert os.waitpid(fork(), 0)[1] == 0, "the run failed"
    found = comparable(BASE / "out")
    shutil.rmtree(BASE / "out")
    return found


def main() -> None:
    logger.remove()
    random.seed(int(sys.argv[2]))
    begin = time.perf_counter()
    undisturbed = whole()
    seconds = time.perf_counter() - begin
    assert not [name for name in undisturbed if "/." in name]

    def compare() -> None:
        found = whole()
        differing = [name for name in {**found, **undisturbed} if found.get(name) != undisturbed.get(name)]
        assert not differing, differing

    ended = 0
    for _ in range(10):  # each from nothing, killed anywhere, and resumed
        ended += killed_after(random.uniform(0.05, 1.0) * seconds)
        compare()
    for _ in range(10):  # ten in a row, then resumed
        ended += killed_after(random.uniform(0.05, 0.3) * seconds)
    compare()
    print(ended, round(seconds, 2))


if __name__ == "__main__":
    main()
