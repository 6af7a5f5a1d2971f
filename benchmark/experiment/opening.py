"""The test part is opened: once for what was chosen, and journaled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.experiment.bench import Bench, Tuned
from benchmark.experiment.figures import Opened, keep, open_ranking
from benchmark.experiment.rows import stem_of
from benchmark.measures import MMREC_DIGITS
from benchmark.reports.files import ModelResult, Replicate, write_lists
from benchmark.search.sweep import Chosen
from benchmark.search.trial import Trial
from workbench.files import fingerprint, sha256_file


def open_test(bench: Bench, tuned: Tuned) -> ModelResult:
    """Test figures of a row: from the journal, or by opening the test part for its chosen configuration."""
    row, sweep = tuned.row, tuned.sweep
    stem = stem_of(row.name)
    files = {"per_user": bench.folder / "per_user" / f"{stem}.npz"}
    if row.plan.block.meta.save_recs:
        for fold, place, trial in _places(tuned.replicates):
            several = sum(map(len, tuned.replicates)) > 1
            name = f"{stem}_{fold}_{place}_seed{trial.params.seed}" if several else stem
            files[f"recs {fold} {place}"] = bench.folder / "recs" / f"{name}.tsv"
    protocol = bench.test_protocol(row)
    key = fingerprint([stem, [trial.key for _, _, trial in _places(tuned.replicates)], protocol])
    record = sweep.journal.get("test", key)
    if record is None or not _as_written(files, record):
        opened: list[list[Opened]] = [[] for _ in tuned.replicates]
        for fold, place, trial in _places(tuned.replicates):
            stage = bench.stage(trial)
            ranking = stage.test.rank(sweep.restore(trial))
            opened[fold].append(open_ranking(stage, ranking, bench.measures.threshold))
            if f"recs {fold} {place}" in files:
                write_lists(files[f"recs {fold} {place}"], ranking, stage.dataset)
        record = {"row": row.name, "protocol": protocol, **keep(files["per_user"], opened)}
        record["sha256"] = {name: sha256_file(path) for name, path in files.items()}
        sweep.journal.append("test", key, record)
    seeds = len(tuned.replicates[0]) // len(tuned.choices[0].trials)
    identities = [
        Replicate(fold, place // seeds, trial.params.seed, record["replicates"][fold][place])
        for fold, place, trial in _places(tuned.replicates)
    ]
    plan = row.plan
    values = [value for choice in tuned.choices if (value := choice.validation(plan.monitor)) is not None]
    validation = float(np.mean(values)) if values else None
    return ModelResult.of_record(
        row.name, plan.name, stem, plan.varied, plan.monitor, validation, tuned.choices, identities, record
    )


def _as_written(files: dict[str, Path], record: dict[str, Any]) -> bool:
    """Whether the files beside the table are those of this record, not of a run with other settings in between."""
    hashes = record.get("sha256", {})
    return all(path.is_file() and hashes.get(name) == sha256_file(path) for name, path in files.items())


def _places(replicates: Sequence[Sequence[Trial]]) -> list[tuple[int, int, Trial]]:
    return [(fold, place, trial) for fold, trials in enumerate(replicates) for place, trial in enumerate(trials)]


def open_test_of_all(bench: Bench, tuned: Tuned) -> ModelResult:
    """A row as MMRec reports it: the test part is opened for every configuration, and its best figure counts.

    Figures are rounded to four decimals first; of equal ones the first counts.
    """
    choices = []
    for configurations, chosen in zip(tuned.configurations, tuned.choices, strict=True):
        best: tuple[float, Sequence[Trial]] | None = None
        for trials in configurations:
            records = [tuned.sweep.record(trial, tuned.row.name) for trial in trials]
            if any("failed" in record for record in records):
                continue
            values = [_test_means(bench, tuned, trial)[tuned.row.plan.monitor] for trial in trials]
            value = round(float(np.mean(values)), MMREC_DIGITS)
            if best is None or value > best[0]:
                best = (value, trials)
        assert best is not None  # `tuned` was chosen among the same
        records = [tuned.sweep.record(trial, tuned.row.name) for trial in best[1]]
        choices.append(Chosen(list(best[1]), records, chosen.configurations))
    row = tuned.row.chosen_on_test()
    return open_test(bench, replace(tuned, row=row, choices=choices, replicates=[each.trials for each in choices]))


def _test_means(bench: Bench, tuned: Tuned, trial: Trial) -> dict[str, float]:
    key = fingerprint([trial.key, bench.test_protocol(tuned.row)])
    record = tuned.sweep.journal.get("configuration on test", key)
    if record is None:
        means = bench.stage(trial).test.means(tuned.sweep.restore(trial))
        record = tuned.sweep.journal.append("configuration on test", key, {"test": means})
    return dict(record["test"])
