"""`results.tsv` and `results.csv`: the table for spreadsheets and scripts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from benchmark.reports.costs import RowCost, cost_of
from benchmark.reports.report import ModelResult, Report
from benchmark.reports.text import comma_separated, tab_separated
from workbench.files import write_text

_HEADER = ["validation_metric", "validation", "epoch", "seconds", "peak_memory_mb", "parameters", "best"]
_MORE_COST = ["cpu_seconds", "gpu_memory_mb", "energy_joules", "samples_per_second"]


def write_sheets(folder: Path, report: Report) -> None:
    """Write `results.tsv` and `results.csv`, a line a row of the table; what is not known is empty."""
    rows = _rows(report)
    write_text(folder / "results.tsv", tab_separated(rows))
    write_text(folder / "results.csv", comma_separated(rows))


def _rows(report: Report) -> list[list[str]]:
    headings = [f"{metric}{report.suffix}" for metric in report.metrics]
    spread = any(model.spread for model in report.models)
    deviations = [f"{word} {heading}" for word in ("std", "low", "high") for heading in headings] if spread else []
    rows = [["model", *headings, *_HEADER, *deviations, *_MORE_COST]]
    for model in report.models:
        cost = cost_of(model)
        cells = [model.row, *(_number(model.test.get(metric), 6) for metric in report.metrics), model.monitor]
        cells += [_number(model.validation, 6), *_chosen(model, cost)]
        cells += _deviations(model, report.metrics) if spread else []
        cells += [_number(cost.total.cpu_seconds, 2), _number(cost.chosen.gpu_memory_mb, 0)]
        cells += [_number(cost.total.energy_joules, 1), _number(cost.chosen.samples_per_second, 0)]
        rows.append(cells)
    return rows


def _chosen(model: ModelResult, cost: RowCost) -> list[str]:
    """Epochs, seconds, memory, weights and what was chosen; a test fold after the other where there are several."""
    records = model.chosen_records
    if not records:
        return [""] * 5
    best = [{key: fold[0]["params"][key] for key in model.varied} for fold in model.chosen]
    return [
        ",".join(str(record["epoch"]) for record in records),
        _number(cost.total.seconds, 2),
        _number(cost.chosen.memory_mb, 0),
        "" if cost.weights is None else str(cost.weights),
        json.dumps(best if len(best) > 1 else best[0]),
    ]


def _deviations(model: ModelResult, metrics: Sequence[str]) -> list[str]:
    """Deviations over replicates, and the ends of the 95 % intervals of the means."""
    ends = [model.interval(metric) or (None, None) for metric in metrics]
    columns = [[model.spread.get(metric) for metric in metrics], *([end[side] for end in ends] for side in (0, 1))]
    return [_number(value, 6) for column in columns for value in column]


def _number(value: float | None, digits: int) -> str:
    return "" if value is None or value != value else f"{value:.{digits}f}"
