"""Weights & Biases: a run for each trial and one for the results, in one group."""

from __future__ import annotations

import netrc
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from benchmark.config.tracking import WandbSettings
from benchmark.reports.report import Report
from benchmark.tracking.base import artefacts, curves, figures, parameters, row_figures, run_name

_PATIENCE = 60  # seconds for the server to answer at the start and at the end of a run


class WandbTracker:
    """Runs that are begun and ended at once, when a trial has ended; a run of the user's own is left alone.

    Parameters
    ----------
    folder : run files go to its subfolder `wandb`.
    group : of all runs.
    """

    def __init__(self, settings: WandbSettings, folder: Path, group: str) -> None:
        import wandb

        self._wandb: Any = wandb
        self._settings, self._folder, self._group = settings, folder, group

    def trial(self, key: str, record: Mapping[str, Any]) -> None:
        config = {"model": record["model"], **parameters(record)}
        run = self._begin(run_name(key, record), "trial", config)
        for epoch, values in curves(record).items():
            run.log({"epoch": epoch, **values}, step=epoch)
        run.summary.update({"key": key, **figures(record)})
        if "failed" in record:
            run.summary.update({"failed": record["failed"], "why": record.get("why")})
        run.finish(exit_code=1 if "failed" in record else 0)

    def results(self, report: Report, folder: Path) -> None:
        run = self._begin("results", "results", {"dataset": report.dataset, "experiment": report.experiment})
        for row in report.models:
            run.summary.update({f"{row.row}/{name}": value for name, value in row_figures(row).items()})
        columns = ["row", *report.metrics]
        rows = [[row.row, *(row.test.get(name) for name in report.metrics)] for row in report.models]
        run.log({"table": self._wandb.Table(columns=columns, data=rows)})
        files = self._wandb.Artifact(f"results-{run.id}", type="results")
        for path in artefacts(folder):
            files.add_file(str(path))
        run.log_artifact(files)
        run.finish()

    def close(self) -> None:
        pass

    def _begin(self, name: str, kind: str, config: dict[str, Any]) -> Any:
        self._folder.mkdir(parents=True, exist_ok=True)  # W&B turns to a temporary folder where there is none
        return self._wandb.init(
            project=self._settings.project,
            entity=self._settings.entity,
            group=self._group,
            job_type=kind,
            name=name,
            config=config,
            dir=str(self._folder),
            mode=find_mode(self._settings),
            reinit="create_new",
            settings=self._quiet(),
        )

    def _quiet(self) -> Any:
        """No output, no question, no endless waiting; what the machine does meanwhile says nothing of the trial."""
        wanted: dict[str, Any] = {"silent": True, "console": "off", "init_timeout": _PATIENCE, "x_disable_stats": True}
        wanted |= {"finish_timeout": _PATIENCE, "save_code": False}
        known = self._wandb.Settings.model_fields  # they come and go between versions
        return self._wandb.Settings(**{name: value for name, value in wanted.items() if name in known})


def find_mode(settings: WandbSettings) -> str | None:
    """`mode` of a run; None leaves it to `WANDB_MODE`, which is set."""
    if settings.mode is not None or os.environ.get("WANDB_MODE"):
        return settings.mode
    return "online" if _has_key() else "offline"


def _has_key() -> bool:
    """Whether W&B would find a key without asking for one."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False
