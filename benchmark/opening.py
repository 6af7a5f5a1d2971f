"""The test part is opened: once for what was chosen, and journaled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.bench import Bench, Tuned
from benchmark.evaluation import Ranking
from benchmark.evaluation.slices import SliceRow, measure_slices
from benchmark.fold import Fold
from benchmark.measures import MMREC_DIGITS
from benchmark.reports.files import ModelResult, Replicate, write_lists, write_per_user
from benchmark.search.sweep import Chosen
from benchmark.search.trial import Trial
from workbench.files import escape_id, fingerprint, sha256_file

CHOSEN_ON_TEST = "(chosen on test)"


@dataclass(frozen=True)
class Opened:
    """Test figures of one trained model.

    Attributes
    ----------
    users : (E,) raw ids of the judged users.
    per_user : `Metric@k` -> (E,) float64; system : `Metric@k` -> one number, for metrics of the whole system.
    slices : the figures of groups of users and items.
    means : of all metrics, in their order.
    """

    users: np.ndarray
    per_user: dict[str, np.ndarray]
    system: dict[str, float]
    slices: list[SliceRow]

    means: dict[str, float]


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
    key = fingerprint([stem, [trial.key for _, _, trial in _places(tuned.replicates)], bench.test_protocol])
    record = sweep.journal.get("test", key)
    if record is None or not _as_written(files, record):
        opened: list[list[Opened]] = [[] for _ in tuned.replicates]
        for fold, place, trial in _places(tuned.replicates):
            stage = bench.stage(trial)
            ranking = stage.test.rank(sweep.restore(trial))
            opened[fold].append(open_ranking(stage, ranking, bench.measures.threshold))
            if f"recs {fold} {place}" in files:
                write_lists(files[f"recs {fold} {place}"], ranking, stage.dataset)
        record = {"row": row.name, "protocol": bench.test_protocol, **keep(files["per_user"], opened)}
        record["sha256"] = {name: sha256_file(path) for name, path in files.items()}
        sweep.journal.append("test", key, record)
    seeds = len(bench.seeds(tuned.replicates[0][0]))
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


def open_ranking(fold: Fold, ranking: Ranking, threshold: float) -> Opened:
    """Every figure of one ranking of the test part."""
    measured = fold.test.measure(ranking)
    rows = measure_slices(ranking, fold.test.per_user, fold.slices, threshold) if fold.slices else []
    user_ids = np.array(fold.dataset.user_ids, dtype=object)
    return Opened(
        user_ids[ranking.users.cpu().numpy()],
        {name: values.cpu().numpy() for name, values in measured.per_user.items()},
        measured.system,
        rows,
        measured.means,
    )


def keep(per_user: Path, opened: Sequence[Sequence[Opened]]) -> dict[str, Any]:
    """Write the per-user values of all replicates, and return their figures for the journal."""
    users, values = pool(opened)
    write_per_user(per_user, users, values)
    columns = {name: array.mean(axis=1) for name, array in values.items()}  # (S,)
    system = {
        name: np.mean([[each.system[name] for each in replicates] for replicates in opened], axis=0)
        for name in opened[0][0].system
    }
    columns = {name: {**columns, **system}[name] for name in opened[0][0].means}
    several = len(opened[0]) > 1
    return {
        "test": {name: float(array.mean()) for name, array in columns.items()},
        "spread": {name: float(array.std(ddof=1)) for name, array in columns.items()} if several else {},
        "users": len(users),
        "system": {name: array.tolist() for name, array in system.items()},
        "replicates": [[each.means for each in replicates] for replicates in opened],
        "slices": [asdict(each) for each in mean_slices([each.slices for fold in opened for each in fold])],
    }


def mean_slices(replicates: Sequence[Sequence[SliceRow]]) -> list[SliceRow]:
    """Figures of each group, averaged over the replicates in which somebody is in it."""
    by_group: dict[tuple[str, str], list[SliceRow]] = {}
    for row in (row for rows in replicates for row in rows):
        by_group.setdefault((row.slice, row.group), []).append(row)
    means = []
    for (name, group), rows in by_group.items():
        filled = [row for row in rows if row.users] or rows[:1]
        values = {metric: float(np.mean([row.values[metric] for row in filled])) for metric in filled[0].values}
        means.append(SliceRow(name, group, round(float(np.mean([row.users for row in rows]))), values))
    return means


def stem_of(name: str) -> str:
    """The stem of a row's files."""
    return escape_id(name.replace(" ", "_"))


def pool(opened: Sequence[Sequence[Opened]]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Per-user values of all replicates on all test folds: users (E,), and `Metric@k` -> (S, E).

    Users that are not judged in every replicate of a fold (their training rows may all be in one validation fold) are
    left out. Where there are several test folds, a user stands once in each: `fold/user`.
    """
    users = []
    columns: dict[str, list[np.ndarray]] = {name: [] for name in opened[0][0].per_user}
    for fold, replicates in enumerate(opened):
        common = replicates[0].users
        for each in replicates[1:]:
            common = common[np.isin(common, each.users)]
        users.append(np.array([f"{fold}/{user}" for user in common], dtype=object) if len(opened) > 1 else common)
        for name, column in columns.items():
            rows = [each.per_user[name][_rows_of(common, each.users)] for each in replicates]
            column.append(np.stack(rows))
    return np.concatenate(users), {name: np.concatenate(column, axis=1) for name, column in columns.items()}


def _rows_of(wanted: np.ndarray, users: np.ndarray) -> np.ndarray:
    order = np.argsort(users)
    return np.asarray(order[np.searchsorted(users, wanted, sorter=order)])


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
    row = replace(tuned.row, name=f"{tuned.row.name} {CHOSEN_ON_TEST}")
    return open_test(bench, replace(tuned, row=row, choices=choices, replicates=[each.trials for each in choices]))


def _test_means(bench: Bench, tuned: Tuned, trial: Trial) -> dict[str, float]:
    key = fingerprint([trial.key, bench.test_protocol])
    record = tuned.sweep.journal.get("configuration on test", key)
    if record is None:
        means = bench.stage(trial).test.means(tuned.sweep.restore(trial))
        record = tuned.sweep.journal.append("configuration on test", key, {"test": means})
    return dict(record["test"])
