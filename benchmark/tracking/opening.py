"""The trackers of an experiment: checked before anything runs, told everything once, and never in the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from loguru import logger

from benchmark.config.tracking import MlflowSettings, TrackingSettings
from benchmark.reports.report import Report
from benchmark.tracking.base import Tracker
from workbench.errors import UserError
from workbench.files import fingerprint
from workbench.journal import Journal

_SENT = Path("tracking") / "sent.jsonl"


def check_trackers(settings: TrackingSettings | None) -> None:
    """See that every package is there, without loading any.

    Raises
    ------
    UserError : one is not.
    """
    for name, packages in _packages(settings).items():
        absent = [package for package in packages if not _is_installed(package)]
        if absent:
            raise UserError(f"`tracking: {name}` needs the package {absent[0]}", mend="pip install 'bottega[tracking]'")


def open_trackers(
    settings: TrackingSettings | None, folder: Path, dataset: str, experiment: str, base: Path = Path()
) -> list[Tracker]:
    """The trackers of an experiment.

    A tracker that fails (no network, a full disk) is warned of once and told nothing more; the sweep goes on. What a
    tracker was told is noted in the results folder and not told again, so every trial may be handed over on every
    run, found in the journal or not: a run after a failure makes up for what was missed.

    Parameters
    ----------
    folder : of the results.
    dataset, experiment : names, under which the trackers file it all.
    base : where relative paths in the settings start.

    Raises
    ------
    UserError : a package is missing.
    """
    if settings is None:
        return []
    check_trackers(settings)
    sent = Journal(folder / _SENT)
    trackers: list[Tracker] = []
    if settings.tensorboard is not None:
        from benchmark.tracking.tensorboard import TensorboardTracker

        given = settings.tensorboard.folder
        events = folder / "tracking" / "tensorboard" if given is None else base / given / dataset / experiment
        trackers.append(_Guarded("tensorboard", str(given), lambda: TensorboardTracker(events), sent))
    if settings.wandb is not None:
        from benchmark.tracking.wandb import WandbTracker

        wandb, group = settings.wandb, f"{dataset}/{experiment}"
        target = f"{wandb.entity}/{wandb.project}"
        trackers.append(_Guarded("wandb", target, lambda: WandbTracker(wandb, folder / "tracking", group), sent))
    if settings.mlflow is not None:
        from benchmark.tracking.mlflow import MlflowTracker

        mlflow, name = settings.mlflow, f"{dataset}/{experiment}"
        target = f"{mlflow.uri}/{mlflow.experiment}"
        trackers.append(_Guarded("mlflow", target, lambda: MlflowTracker(mlflow, folder / "tracking", name), sent))
    return trackers


class _Guarded:
    """A tracker that is made when it is first needed, is told nothing twice, and whose failures end it alone.

    Parameters
    ----------
    target : where it sends things; another one is told everything anew.
    sent : what was told on earlier runs.
    """

    def __init__(self, name: str, target: str, make: Callable[[], Tracker], sent: Journal) -> None:
        self._name, self._make, self._sent = name, make, sent
        self._target = fingerprint([name, target])
        self._tracker: Tracker | None = None
        self._failed = False

    def trial(self, key: str, record: Mapping[str, Any]) -> None:
        self._tell("trial", key, lambda tracker: tracker.trial(key, record))

    def results(self, report: Report, folder: Path) -> None:
        rows = fingerprint([[row.row, row.test, row.spread] for row in report.models])
        failed = fingerprint([asdict(failure) for failure in report.failed])
        self._tell("results", f"{rows} {failed}", lambda tracker: tracker.results(report, folder))

    def close(self) -> None:
        if self._tracker is not None and not self._failed:
            self._try(self._tracker.close)

    def _tell(self, kind: str, key: str, tell: Callable[[Tracker], None]) -> None:
        mark = f"{self._target} {key}"
        if self._failed or self._sent.get(kind, mark) is not None:
            return

        def work() -> None:
            self._tracker = self._tracker or self._make()
            tell(self._tracker)
            self._sent.append(kind, mark, {"tracker": self._name})

        self._try(work)

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # whatever another's system fails with, the sweep is worth more
            self._failed = True
            text = str(error).strip().splitlines()
            logger.warning(
                "tracking: {} failed ({}: {}) and is told nothing more in this run; the sweep goes on, and the next "
                "run of the same command makes up for it", self._name, type(error).__name__, text[0] if text else "-",
            )  # fmt: skip


def _packages(settings: TrackingSettings | None) -> dict[str, list[str]]:
    """The packages that each tracker needs."""
    found: dict[str, list[str]] = {}
    if settings is not None and settings.tensorboard is not None:
        found["tensorboard"] = ["tensorboard"]
    if settings is not None and settings.wandb is not None:
        found["wandb"] = ["wandb"]
    if settings is not None and settings.mlflow is not None:
        found["mlflow"] = ["mlflow", *(["sqlalchemy", "alembic"] if _in_a_database(settings.mlflow) else [])]
    return found


def _in_a_database(settings: MlflowSettings) -> bool:
    return settings.uri is None or settings.uri.startswith(("sqlite", "mysql", "postgresql", "mssql"))


def _is_installed(package: str) -> bool:
    # an empty folder of that name, such as W&B leaves in the working directory, is found too, but without an origin
    spec = find_spec(package)
    return spec is not None and spec.origin is not None
