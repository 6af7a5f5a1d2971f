"""The grounds of an experiment's folds under short names, as executors know them, and how many threads a trial has."""

from __future__ import annotations

from loguru import logger

from benchmark.search.running import Ground
from benchmark.search.trial import Stage
from workbench.runtime import usable_cores

_SMALL = 50_000  # training interactions below which a second thread gains nothing
_MOST_THREADS = 8


class Grounds:
    """Names stages as they come, and gives the ground behind a name."""

    def __init__(self) -> None:
        self._stages: list[Stage] = []

    def name(self, stage: Stage) -> str:
        """The name of a stage's ground."""
        if stage not in self._stages:
            self._stages.append(stage)
        return str(self._stages.index(stage))

    def __call__(self, name: str) -> Ground:
        return self._stages[int(name)].ground


def threads_of_a_trial(wanted: int | None, interactions: int, workers: int) -> int:
    """Threads of the processor for each trial.

    What is computed may differ in the last digit with the number of threads, so it does not depend on the executor.

    Parameters
    ----------
    wanted : as the file says; None: one for a small training part, all cores (at most 8) for others.
    workers : trials at once on this machine, for a warning where they are in each other's way.
    """
    cores = usable_cores()
    threads = wanted or (1 if interactions < _SMALL else min(cores, _MOST_THREADS))
    if workers > 1 and workers * threads > cores:
        logger.warning(
            "{} trials at once with {} threads each on {} cores are in each other's way: say `threads: {}` "
            "(figures may differ in the last digit)",
            workers, threads, cores, max(1, cores // workers),
        )  # fmt: skip
    return threads
