"""TensorBoard: a folder of events for each trial, and one for each row of the table."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.reports.report import Report
from benchmark.tracking.base import curves, figures, parameters, row_figures, run_name
from workbench.files import escape_id

_TEST = "test"


class TensorboardTracker:
    """Writes `<folder>/<model>-<key>/` with curves, hyperparameters and final figures, and `<folder>/test/<row>/`."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._folder, self._writer = folder, SummaryWriter

    def trial(self, key: str, record: Mapping[str, Any]) -> None:
        with self._writer(str(self._folder / escape_id(run_name(key, record)))) as writer:
            for epoch, values in curves(record).items():
                for name, value in values.items():
                    writer.add_scalar(name, value, epoch)
            if "failed" in record:
                writer.add_text("failed", record["failed"])
            writer.add_hparams(parameters(record), figures(record), run_name=".")

    def results(self, report: Report, folder: Path) -> None:
        shutil.rmtree(self._folder / _TEST, ignore_errors=True)  # of an earlier state of the sweep
        for row in report.models:
            with self._writer(str(self._folder / _TEST / escape_id(row.row))) as writer:
                for name, value in row_figures(row).items():
                    writer.add_scalar(name, value, 0)
        with self._writer(str(self._folder / _TEST)) as writer:
            writer.add_text("config", f"```\n{report.config}\n```")
            for failure in report.failed:
                writer.add_text(f"failed/{failure.row}", failure.reason)

    def close(self) -> None:
        pass
