"""The test part is opened: once for what was chosen, and journaled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.config.legacy import MMREC_DIGITS
from benchmark.evaluation import Ranking
from benchmark.evaluation.slices import SliceRow
from benchmark.experiment.bench import Bench
from benchmark.experiment.figures import Opened, keep, open_ranking
from benchmark.experiment.fold import Fold
from benchmark.experiment.lists import example_lists, write_lists
from benchmark.experiment.portraits import draw_portrait
from benchmark.experiment.rows import stem_of
from benchmark.experiment.tuning import Chosen, Tuned
from benchmark.models.base import Recommender
from benchmark.reports.portrait import ShownPortrait
from benchmark.reports.report import ModelResult, Replicate
from benchmark.search.running import free_memory, out_of_memory
from benchmark.search.sweep import Sweep
from benchmark.search.trial import Trial
from workbench.files import fingerprint, sha256_file

Lists = dict[str, list[list[Any]]]  # raw user id -> item, score, hit


@dataclass(frozen=True)
class Judged:
    """A row of the table, its lists of the example users, and the files that it owns."""

    result: ModelResult
    lists: Lists
    files: list[Path]


def open_test(bench: Bench, sweep: Sweep, tuned: Tuned) -> Judged:
    """Test figures of a row: from the journal, or by opening the test part for its chosen configuration."""
    row = tuned.row
    stem = stem_of(row.name)
    files = {"per_user": bench.folder / "per_user" / f"{stem}.npz"}
    if row.plan.block.meta.save_recs:
        for fold, place, trial in _places(tuned):
            several = sum(map(len, tuned.replicates)) > 1
            name = f"{stem}_{fold}_{place}_seed{trial.params.seed}" if several else stem
            files[f"recs {fold} {place}"] = bench.folder / "recs" / f"{name}.tsv"
    protocol = bench.test_protocol(row)
    key = fingerprint([stem, [trial.key for _, _, trial in _places(tuned)], protocol])
    seeds = len(tuned.replicates[0]) // len(tuned.choices[0].trials)
    record = bench.journal.get("test", key)
    if record is None or not _as_written(files, record):
        opened: list[list[Opened]] = [[] for _ in tuned.replicates]
        lists: Lists = {}
        portrait: dict[str, Any] | None = None
        for fold, place, trial in _places(tuned):
            stage = bench.folds(row)[fold][place // seeds]
            model = sweep.restore(trial, row.name, row.plan.block.meta.restore)
            ranking = _rank(stage, model)
            opened[fold].append(open_ranking(stage, ranking, bench.measures.threshold))
            lists = lists or example_lists(ranking, stage)
            if (fold, place) == (0, 0):
                portrait = draw_portrait(model, stage, row.name)
            if f"recs {fold} {place}" in files:
                write_lists(files[f"recs {fold} {place}"], ranking, stage)
            del model  # before the next one is restored
        record = {"row": row.name, "protocol": protocol, "lists": lists, "portrait": portrait}
        record |= keep(files["per_user"], opened)
        record["sha256"] = {name: sha256_file(path) for name, path in files.items()}
        bench.journal.append("test", key, record)
    identities = [
        Replicate(fold, place // seeds, trial.params.seed, record["replicates"][fold][place])
        for fold, place, trial in _places(tuned)
    ]
    plan = row.plan
    values = [value for choice in tuned.choices if (value := choice.validation(plan.monitor)) is not None]
    result = ModelResult(
        row=row.name,
        model=plan.name,
        stem=stem,
        varied=plan.varied,
        monitor=plan.monitor,
        validation=float(np.mean(values)) if values else None,
        chosen=[choice.records for choice in tuned.choices],
        trials=[record for choice in tuned.choices for tried in choice.tried for record in tried],
        further=[record for choice in tuned.choices for record in choice.further],
        replicates=identities,
        portrait=None if record["portrait"] is None else ShownPortrait(**record["portrait"]),
        **figures_of(record),
    )
    return Judged(result, record["lists"], list(files.values()))


def _rank(stage: Fold, model: Recommender) -> Ranking:
    """Lists of the test part; short of memory, once more with half the scores held at a time."""
    try:
        return stage.test.rank(model)
    except Exception as error:
        if not out_of_memory(error):
            raise
    free_memory(stage.data.device)
    return stage.test.with_smaller_blocks().rank(model)


def figures_of(record: dict[str, Any]) -> dict[str, Any]:
    """The figures of a journal record of the kind `test`, as a `ModelResult` has them."""
    slices = [SliceRow(**each) for each in record["slices"]]
    return {name: record[name] for name in ("test", "spread", "users", "system")} | {"slices": slices}


def _as_written(files: dict[str, Path], record: dict[str, Any]) -> bool:
    """Whether the files beside the table are those of this record, not of a run with other settings in between."""
    hashes = record.get("sha256", {})
    return all(path.is_file() and hashes.get(name) == sha256_file(path) for name, path in files.items())


def _places(tuned: Tuned) -> list[tuple[int, int, Trial]]:
    return [(fold, place, trial) for fold, trials in enumerate(tuned.replicates) for place, trial in enumerate(trials)]


def open_test_of_all(bench: Bench, sweep: Sweep, tuned: Tuned) -> Judged:
    """A row as MMRec reports it: the test part is opened for every configuration, and its best figure counts.

    Figures are rounded to four decimals first; of equal ones the first counts.
    """
    choices: list[Chosen] = []
    for choice in tuned.choices:
        best: tuple[float, int] | None = None
        for place, (trials, records) in enumerate(zip(choice.configurations, choice.tried, strict=True)):
            if any("failed" in record for record in records):
                continue
            value = round(_on_test(bench, sweep, tuned, len(choices), trials), MMREC_DIGITS)
            if best is None or value > best[0]:
                best = (value, place)
        assert best is not None  # something was chosen among the same
        trials, records = choice.configurations[best[1]], choice.tried[best[1]]
        choices.append(replace(choice, trials=trials, records=records, replicates=trials, repeated=records))
    return open_test(bench, sweep, Tuned(tuned.row.chosen_on_test(), choices))


def _on_test(bench: Bench, sweep: Sweep, tuned: Tuned, number: int, trials: Sequence[Trial]) -> float:
    """Mean value of a configuration on a test fold under its monitor."""
    values = []
    for stage, trial in zip(bench.folds(tuned.row)[number], trials, strict=True):
        key = fingerprint([trial.key, bench.test_protocol(tuned.row)])
        record = bench.journal.get("configuration on test", key)
        if record is None:
            model = sweep.restore(trial, tuned.row.name, tuned.row.plan.block.meta.restore)
            means = stage.test.measure(_rank(stage, model)).means
            record = bench.journal.append("configuration on test", key, {"test": means})
        values.append(record["test"][tuned.row.plan.monitor])
    return float(np.mean(values))
