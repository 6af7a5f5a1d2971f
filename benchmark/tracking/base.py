"""What a tracker is, and the parts of a trial's record that every tracker is told."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from benchmark.reports.report import ModelResult, Report

ARTEFACTS = ("results.tsv", "report.html", "config.yml")  # of the results folder, where they are there


class Tracker(Protocol):
    """Is told what a sweep does; called by the process that leads the sweep, by one thread."""

    def trial(self, key: str, record: Mapping[str, Any]) -> None:
        """A finished trial: its key in the journal, and its record there."""

    def results(self, report: Report, folder: Path) -> None:
        """The experiment is complete; `folder` holds its files."""

    def close(self) -> None:
        """Nothing more comes."""


def run_name(key: str, record: Mapping[str, Any]) -> str:
    """What a trial's run is called: the model, and the beginning of the key."""
    return f"{record['model']}-{key[:8]}"


def parameters(record: Mapping[str, Any]) -> dict[str, bool | int | float | str]:
    """Parameters of the model as plain values; anything nested as JSON, None as text."""
    return {
        name: value if isinstance(value, bool | int | float | str) else json.dumps(value)
        for name, value in record["params"].items()
    }


def figures(record: Mapping[str, Any]) -> dict[str, float]:
    """Numbers of the finished trial: `validation/<Metric@k>`, `cost/<key>`, `epoch` (that was kept), `weights`."""
    found = {f"validation/{name}": value for name, value in (record.get("validation") or {}).items()}
    found |= {f"cost/{name}": value for name, value in (record.get("cost") or {}).items()}
    found |= {"epoch": record.get("epoch"), "weights": record.get("parameters")}
    return _finite(found)


def curves(record: Mapping[str, Any]) -> dict[int, dict[str, float]]:
    """Epoch, ascending from 1 -> its mean `loss`, and `validation/monitor` where it was judged."""
    found: dict[int, dict[str, float]] = {}
    for epoch, loss in enumerate(record.get("losses") or (), start=1):
        found[epoch] = {"loss": loss}
    for epoch, value in record.get("history") or ():
        found.setdefault(int(epoch), {})["validation/monitor"] = value
    finite = {epoch: _finite(found[epoch]) for epoch in sorted(found)}
    return {epoch: values for epoch, values in finite.items() if values}


def row_figures(row: ModelResult) -> dict[str, float]:
    """Numbers of a row of the table: `test/<Metric@k>`, and `deviation/<Metric@k>` over its replicates."""
    found = {f"test/{name}": value for name, value in row.test.items()}
    return _finite(found | {f"deviation/{name}": value for name, value in row.spread.items()})


def artefacts(folder: Path) -> list[Path]:
    """The files of a results folder that belong beside its figures."""
    return [folder / name for name in ARTEFACTS if (folder / name).is_file()]


def _finite(values: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items() if value is not None and math.isfinite(value)}
