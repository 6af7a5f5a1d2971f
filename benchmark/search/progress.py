"""What is seen of a sweep while it runs: a bar over its trials, and one over the epochs of a trial in this process."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from loguru import logger
from tqdm import tqdm

from benchmark.search.executors.base import Executor
from benchmark.search.executors.serial import Serial
from benchmark.search.running import Task, Watch
from benchmark.training.loop import Progress
from workbench.console import progress as bar


class Bars:
    """The bars of a sweep; silent where nobody watches a terminal."""

    def __init__(self, executor: Executor, show: bool) -> None:
        self._here = isinstance(executor, Serial)  # others run where nothing can be shown
        self._show = show
        self._asked = 0
        self._all: tqdm | None = None
        self._epochs: dict[str, _EpochBar] = {}  # by the label of the trial

    def __enter__(self) -> None:
        self._asked = 0
        self._epochs = {}

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._all is not None:
            self._all.close()
            self._all = None

    def watch(self, task: Task, label: str, show: bool) -> Watch | None:
        """What is told of the epochs of a trial; None where it runs elsewhere."""
        self._asked += 1
        if self._all is None:
            self._all = bar(self._asked, "sweep", "trial", self._show)
        self._all.total = self._asked
        self._all.refresh()
        if not self._here:
            return None
        self._epochs[label] = _EpochBar(label, task.monitor, self._show and show)
        return self._epochs[label]

    def finished(self, label: str, record: dict[str, Any], monitor: str, show: bool) -> None:
        """A trial has ended."""
        if label in self._epochs:
            self._epochs.pop(label).close()
        if self._all is not None:
            self._all.update()
        if "failed" in record:
            logger.warning("{}: {}; recorded, the sweep goes on", label, record["failed"])
            return
        value = record["validation"].get(monitor)
        if show and self._asked > 1:
            figure = "" if value is None else f"{monitor} {value:.4f}"
            epoch = f" at epoch {record['epoch']}" if record["epoch"] else ""
            logger.info("{}: {}{}, {:.1f} s", label, figure, epoch, record["cost"]["seconds"])


class _EpochBar:
    """A bar over epochs, with loss, samples a second, the last judgement and the best one."""

    def __init__(self, label: str, monitor: str, show: bool) -> None:
        self._label, self._monitor, self._show = label, monitor, show
        self._bar: tqdm | None = None

    def __call__(self, progress: Progress) -> None:
        if self._bar is None:
            self._bar = bar(progress.epochs, self._label, "epoch", self._show)
        self._bar.update()
        rate = self._bar.format_dict["rate"]
        speed = f", {rate * progress.samples:,.0f} samples/s" if rate else ""
        best = "" if progress.best is None else f", best {self._monitor} {progress.best:.4f}"
        self._bar.set_postfix_str(f"loss {progress.loss:.4f}{speed}{best}", refresh=False)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
