"""MLflow: a run for the experiment, and below it one for each trial and each row of the table."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmark.config.tracking import MlflowSettings
from benchmark.reports.report import Report
from benchmark.tracking.base import artefacts, curves, figures, parameters, row_figures, run_name

_METRICS, _LONGEST = 1000, 500  # MLflow's limits: metrics in one call, characters of a parameter
_KIND, _OF, _PARENT = "bottega.kind", "bottega.experiment", "mlflow.parentRunId"


class MlflowTracker:
    """Speaks to a store through MLflow's client; the global active run of `mlflow.start_run` is left alone.

    Parameters
    ----------
    folder : without a `uri`, the store is its subfolder `mlflow`: `mlflow.db`, and `artifacts/`.
    name : of the experiment.
    """

    def __init__(self, settings: MlflowSettings, folder: Path, name: str) -> None:
        # before it is loaded: a server that is gone fails in seconds, not in minutes, and nothing is reported home
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow import MlflowClient

        for chatty in ("alembic", "mlflow"):
            logging.getLogger(chatty).setLevel(logging.WARNING)
        uri, files = settings.uri, None
        if uri is None:
            store = (folder / "mlflow").resolve()
            store.mkdir(parents=True, exist_ok=True)
            uri, files = f"sqlite:///{store / 'mlflow.db'}", (store / "artifacts").as_uri()
        self._client = MlflowClient(tracking_uri=uri)
        found = self._client.get_experiment_by_name(settings.experiment or name)
        self._experiment = (
            self._client.create_experiment(settings.experiment or name, artifact_location=files)
            if found is None
            else found.experiment_id
        )
        self._parent = self._find_parent(name)

    def trial(self, key: str, record: Mapping[str, Any]) -> None:
        run = self._begin(run_name(key, record), "trial", {"model": record["model"], "key": key})
        self._log(run, curves(record), {"model": record["model"], **parameters(record)})
        self._log(run, {record.get("epoch") or 0: figures(record)}, {})
        if "failed" in record:
            self._client.set_tag(run, "failed", record["failed"])
            self._client.set_tag(run, "why", str(record.get("why")))
        self._client.set_terminated(run, "FAILED" if "failed" in record else "FINISHED")

    def results(self, report: Report, folder: Path) -> None:
        for run in self._search("row"):  # of an earlier state of the sweep
            if run.data.tags.get(_PARENT) == self._parent:
                self._client.delete_run(run.info.run_id)
        for row in report.models:
            one = self._begin(row.row, "row", {"model": row.model})
            self._log(one, {0: row_figures(row)}, {"model": row.model})
            self._client.set_terminated(one, "FINISHED")
        for path in artefacts(folder):
            self._client.log_artifact(self._parent, str(path))
        self._client.set_terminated(self._parent, "FINISHED")

    def close(self) -> None:
        pass

    def _find_parent(self, name: str) -> str:
        """The run of the experiment: of an earlier part of the same sweep, or a new one."""
        for run in self._search("experiment"):
            if run.data.tags.get(_OF) == name:
                return str(run.info.run_id)
        run = self._client.create_run(self._experiment, run_name=name, tags={_KIND: "experiment", _OF: name})
        return str(run.info.run_id)

    def _search(self, kind: str) -> list[Any]:
        return list(self._client.search_runs([self._experiment], f"tags.`{_KIND}` = '{kind}'"))

    def _begin(self, name: str, kind: str, tags: Mapping[str, str]) -> str:
        tags = {_PARENT: self._parent, _KIND: kind, **tags}
        return str(self._client.create_run(self._experiment, run_name=name, tags=tags).info.run_id)

    def _log(self, run: str, steps: Mapping[int, Mapping[str, float]], params: Mapping[str, Any]) -> None:
        from mlflow.entities import Metric, Param

        now = int(time.time() * 1000)
        metrics = [
            Metric(_legal(name), value, now, step) for step, values in steps.items() for name, value in values.items()
        ]
        given = [Param(_legal(name), str(value)[:_LONGEST]) for name, value in params.items()]
        for some in _portions(metrics, _METRICS):
            self._client.log_batch(run, metrics=some)
        for some in _portions(given, 100):
            self._client.log_batch(run, params=some)


def _legal(name: str) -> str:
    """A name as MLflow allows it: `nDCG@20` is `nDCG_at_20`."""
    return re.sub(r"[^\w\-. :/]", "_", name.replace("@", "_at_"))


def _portions(values: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]
