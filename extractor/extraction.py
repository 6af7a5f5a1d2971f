"""The whole of an extraction: plan, run each source, list what was left out, print the table."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from loguru import logger

from extractor.config import Config, load_config, weights_root_of
from extractor.jobs import SourceJobs, pending_jobs, plan
from extractor.pipeline import Outcome, run_source
from extractor.quarantine import write_quarantine
from workbench.console import table as text_table
from workbench.features import FeatureTable, open_table


def run_extraction(
    path: str | Path,
    overrides: Iterable[tuple[str, Any]] = (),
    weights_root: str | Path | None = None,
    show: bool = False,
) -> list[FeatureTable]:
    """Extract what a configuration asks for; `show` prints the progress bar, the table and the next step."""
    config = load_config(path, overrides)
    if len(config.settings.gpu_list) > 1:
        logger.warning("gpu_list names several; only the first, {}, is used for now", config.settings.gpu_list[0])
    plans = plan(config, weights_root_of(weights_root))
    rates: dict[Path, str] = {}
    for work in plans:
        _run(work, config.settings.per_item, show, rates)
    tables = [open_table(table.path) for work in plans for job in work.jobs for table in job.tables]
    if show:
        _show(config, plans, rates, tables)
    return tables


def _run(work: SourceJobs, per_item: bool, show: bool, rates: dict[Path, str]) -> None:
    for job in work.jobs:
        for table in job.tables:
            if table.reason is None:
                logger.info("{}: nothing changed, used again", table.path)
            else:
                logger.info("{}: {}", table.path, table.reason)
    jobs = list(pending_jobs(work.jobs))
    if not jobs:
        return
    label = f"{work.modality} ({', '.join(job.model.model_name for job in jobs)})"
    outcome = run_source(work.source, jobs, label, per_item, show)
    for job in jobs:
        for table in job.pending:
            rates[table.path] = f"{len(work.source) / max(outcome.seconds, 1e-9):.1f}"
    _report_left_out(work, outcome)


def _report_left_out(work: SourceJobs, outcome: Outcome) -> None:
    notes = [*work.source.left_out, *outcome.quarantined]
    paths = [write_quarantine(output, work.modality, notes) for output in work.outputs]
    if outcome.quarantined:
        first = outcome.quarantined[0]
        logger.warning(
            "{} of {} {} items could not be used and are listed in {}; the first is {}: {}",
            len(outcome.quarantined), len(work.source), work.modality,
            " and ".join(map(str, paths)), first.item, first.reason,
        )  # fmt: skip


def _show(config: Config, plans: list[SourceJobs], rates: dict[Path, str], tables: list[FeatureTable]) -> None:
    rows = []
    found = iter(tables)
    for work in plans:
        for job in work.jobs:
            for table in job.tables:
                opened = next(found)
                rate = rates.get(table.path, "used again")
                row = (job.modality, job.model.backend, job.model.model_name, table.layer.name)
                rows.append((*row, len(opened.ids), opened.dim, rate, str(table.path)))
    headers = ("modality", "backend", "model", "layer", "items", "dim", "items/s", "folder")
    print(text_table(headers, rows, left=("backend", "model", "layer", "folder")))
    name = config.dataset.resolve().name
    logger.success("{} feature tables; next: python run_split.py --dataset {}", len(tables), name)
