"""`performance/`: the results under Elliot's file names, for scripts that look for them there.

Test figures of the best trial of each row, validation figures of all trials, the chosen parameters, p-values.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmark.reports.report import ModelResult, Record, Report
from benchmark.reports.text import tab_separated
from workbench.files import write_json, write_text

_OURS = re.compile(r"(rec|bestmodelparams|stat|triplets)_.*relthreshold_.*\.(tsv|json)")
_SHORT = {"seed": "seed", "epochs": "e", "batch_size": "bs"}  # the parameters that open the name of a trial
_TESTS = ("paired_ttest", "wilcoxon_test")
Table = dict[str, dict[str, float]]  # name of a trial -> column -> figure; no figures for a trial that failed


def write_performance(folder: Path, report: Report, triplets: bool = False) -> None:
    """Write the files of this report, and remove those of an earlier one.

    Parameters
    ----------
    folder : `performance/` of the results.
    triplets : whether to write every table a second time, with a line a figure.
    """
    names = {model.row: _best_name(model) for model in report.models}
    files: dict[str, str] = {}
    for cutoff in report.cutoffs:
        ending = f"cutoff_{cutoff}_{_ending(report)}.tsv"
        columns = [metric for metric in report.metrics if metric.endswith(f"@{cutoff}")]
        tables = {"rec": _best(report, columns, names)}
        tables |= {f"rec_{model.stem}": _trials(report, model, columns) for model in report.models if model.trials}
        for start, table in tables.items():
            files[f"{start}_{ending}"] = tab_separated(_wide(table))
            if triplets:
                files[f"triplets_{start}_{ending}"] = tab_separated(_long(table))
        for test in _TESTS:
            if test in report.tests:
                files[f"stat_{test}_{ending}"] = tab_separated(_p_values(report, test, columns, names))
    for name, content in files.items():
        write_text(folder / name, content)
    parameters = f"bestmodelparams_cutoff_{report.cutoffs[0]}_{_ending(report)}.json"
    write_json(folder / parameters, _best_parameters(report))
    for path in folder.iterdir():
        if _OURS.fullmatch(path.name) and path.name not in (*files, parameters):
            path.unlink()


def trial_name(row: str, record: Record, varied: list[str]) -> str:
    """`Row_seed=42_e=200_bs=1024_lr=0$001_...`: parameters with a plain value, and all that had several values."""
    params = record["params"]
    parts = [f"{short}={_value(params[key])}" for key, short in _SHORT.items() if params.get(key) is not None]
    for key, value in params.items():
        plain = value is not None and not isinstance(value, dict | list)
        if key not in _SHORT and (plain or key in varied):
            parts.append(f"{key}={_value(value)}")
    return "_".join([row.replace(" ", "_"), *parts])


def _value(value: Any) -> str:
    text = json.dumps(value, separators=(",", ":")) if isinstance(value, dict | list) else str(value)
    return text.replace(".", "$")


def _ending(report: Report) -> str:
    return f"relthreshold_{report.threshold:g}_{re.sub('[^0-9]', '_', report.finished)}"


def _best_name(model: ModelResult) -> str:
    """Of what was chosen; in the first test fold where there are several."""
    records = model.chosen_records
    return trial_name(model.row, records[0], model.varied) if records else model.row.replace(" ", "_")


def _best(report: Report, columns: list[str], names: dict[str, str]) -> Table:
    """Test figures of each row."""
    return {
        names[model.row]: {
            f"{metric.rpartition('@')[0]}{report.suffix}": model.test.get(metric, math.nan) for metric in columns
        }
        for model in report.models
    }


def _trials(report: Report, model: ModelResult, columns: list[str]) -> Table:
    """Figures of all trials on the part that chose, means over the folds; their names say that they are no others."""
    part = "chosen on test" if report.chosen_on_test else "validation"
    trials: dict[str, list[Record]] = {}
    for record in model.trials:
        trials.setdefault(trial_name(model.row, record, model.varied), []).append(record)
    table: Table = {}
    for name, records in trials.items():
        found = [record.get("validation", {}) for record in records]
        table[name] = {
            f"{part} {metric.rpartition('@')[0]}{report.suffix}": _mean([each.get(metric) for each in found])
            for metric in columns
        }
    return table


def _mean(values: list[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else math.nan


def _wide(table: Table) -> Iterator[list[str]]:
    """A line a trial."""
    yield ["model", *dict.fromkeys(column for figures in table.values() for column in figures)]
    for name, figures in table.items():
        yield [name, *map(_number, figures.values())]


def _long(table: Table) -> Iterator[list[str]]:
    """A line a figure; undefined ones have none."""
    yield ["model", "metric", "value"]
    for name, figures in table.items():
        yield from ([name, column, _number(value)] for column, value in figures.items() if not math.isnan(value))


def _number(value: float) -> str:
    return "" if math.isnan(value) else repr(float(value))


def _p_values(report: Report, test: str, columns: list[str], names: dict[str, str]) -> Iterator[list[str]]:
    """Both directions of every pair, without a heading, as the p-values of the test before any correction."""
    for each in report.comparisons:
        if each.metric in columns and each.over_users is not None and test in each.over_users.p:
            first, second = names[each.first], names[each.second]
            what = [f"{each.metric.rpartition('@')[0]}{report.suffix}", _number(each.over_users.p[test])]
            yield [first, second, *what]
            yield [second, first, *what]


def _best_parameters(report: Report) -> list[dict[str, Any]]:
    """What was measured first, then a block a row that has parameters."""
    monitors = [model.monitor for model in report.models if model.chosen] or report.metrics[:1]
    defaults = {
        "default_validation_metric": monitors[0].rpartition("@")[0] if monitors else None,
        "default_validation_cutoff": report.cutoffs[0],
        "rel_threshold": report.threshold,
    }
    blocks = [
        {
            "meta": {"validation_metric": model.monitor},
            "recommender": model.row,
            "configuration": {**records[0]["params"], "best_iteration": records[0]["epoch"]},
        }
        for model in report.models
        if (records := model.chosen_records)
    ]
    return [defaults, *blocks]
