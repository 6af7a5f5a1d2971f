"""Significance of the differences in the table: a file of all pairs, and which leads are more than chance."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from loguru import logger

from benchmark.evaluation.significance import Comparison, compare, compare_systems, require_finite
from benchmark.reports.text import tab_separated
from workbench.errors import UserError
from workbench.files import write_text

if TYPE_CHECKING:
    from benchmark.reports.report import ModelResult

LEVEL = 0.05
_HELD = 2**26  # per-user values held at a time: 512 MiB
_AGAIN = "delete the results folder and run the experiment again"
_IDS = ("users", "folds")  # of a per-user file: who was judged, and where; all else are metrics
TITLES = {
    "paired_ttest": "paired t-test",
    "wilcoxon_test": "Wilcoxon signed-rank test",
    "bootstrap_test": "paired bootstrap test",
    "permutation_test": "sign-flip permutation test",
}


def compare_results(
    folder: Path, results: Sequence[ModelResult], tests: Sequence[str], seed: int = 0
) -> list[Comparison]:
    """Compare every pair of rows of the table on every metric.

    Values that cannot be compared are an error in the log: they do not keep the table from being shown.

    Parameters
    ----------
    folder : of the results; `per_user/<stem>.npz` holds the values of each row.
    """
    if not tests or len(results) < 2:
        return []
    files = {result.row: folder / "per_user" / f"{result.stem}.npz" for result in results}
    try:
        comparisons = compare_files(files, tests, seed)
    except UserError as error:
        logger.error("the rows are not compared user by user: {}", error.render())
        comparisons = []
    if metrics := list(results[0].system):
        systems = {result.row: np.array([result.system[metric] for metric in metrics]).T for result in results}
        comparisons += compare_systems(systems, metrics)
    return comparisons


def compare_files(
    files: Mapping[str, Path], tests: Sequence[str], seed: int = 0, metrics: Sequence[str] | None = None
) -> list[Comparison]:
    """Compare per-user files, name -> npz of `users` (E,) and (S, E) or (E,) values for each `Metric@k`.

    With `folds` (E,), a user that was judged in several test folds counts once, with the mean over them: the values
    of one user are not independent. The metrics are read a few at a time, so that memory stays bounded.

    Parameters
    ----------
    metrics : which to compare; without it all, and the files must have the same ones.

    Raises
    ------
    UserError : a file is missing or damaged; two differ in their users, the order of these, or their metrics; a value
        is not finite.
    """
    metrics, held = _shared_metrics(files, metrics)
    step = max(1, _HELD // held)
    comparisons = []
    for start in range(0, len(metrics), step):
        some = metrics[start : start + step]
        comparisons += compare({name: _read(path, some) for name, path in files.items()}, some, tests, seed)
    return comparisons


def write_comparisons(path: Path, comparisons: Sequence[Comparison], suffix: str = "") -> None:
    """One line a pair and metric, tab-separated; undefined values are empty, and columns empty throughout left out."""
    rows = [_cells(each) | {"metric": each.metric + suffix} for each in comparisons]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    filled = [column for column in columns if any(row.get(column) for row in rows)]
    write_text(path, tab_separated([filled, *([row.get(column, "") for column in filled] for row in rows)]))


def clear_leaders(
    comparisons: Sequence[Comparison], test: str, smaller_is_better: Collection[str] = ()
) -> set[tuple[str, str]]:
    """(model, metric) where the model beats every other one clearly.

    Over users: the adjusted p of the test is below 0.05. Where at least one of the two has several replicates, the
    interval over users and replicates excludes 0 as well. For a metric without users, Welch's adjusted p over the
    replicates is below 0.05.
    """
    lost: set[tuple[str, str]] = set()
    seen: set[tuple[str, str]] = set()
    for each in comparisons:
        pair = [(each.first, each.metric), (each.second, each.metric)]
        seen.update(pair)
        first_leads = (each.difference > 0) != (each.metric in smaller_is_better)
        lost.update([pair[1] if first_leads else pair[0]] if is_clear(each, test) else pair)
    return seen - lost


def is_clear(comparison: Comparison, test: str) -> bool:
    """Whether a difference is more than chance: see `clear_leaders`."""
    users, seeds = comparison.over_users, comparison.over_seeds
    if users is None:
        return seeds is not None and seeds.adjusted is not None and seeds.adjusted < LEVEL
    settled = seeds is None or seeds.interval is None or seeds.interval.excludes_zero
    return users.adjusted[test] < LEVEL and settled


def footer(comparisons: Sequence[Comparison], test: str, folds: int = 1) -> str:
    """The sentence under the table that says what a dagger means: test, family, correction, and of whom it speaks.

    Parameters
    ----------
    folds : number of test folds; each user counts with the mean over its own.
    """
    over_users = [each for each in comparisons if each.over_users]
    if not over_users:
        return ""
    family = sum(each.metric == over_users[0].metric for each in over_users)
    pairs = "1 pair of rows" if family == 1 else f"{family} pairs of rows"
    users = f"{over_users[0].users:,} users, " + (f"{folds} folds (a user counts once), " if folds > 1 else "")
    text = (
        f"† better than every other row: two-sided {TITLES[test]} over {users}"
        f"p < {LEVEL:g} after Holm's correction over {pairs} for each metric"
    )
    replicates = {name: count for each in over_users for name, count in _replicates(each)}
    single = [name for name, count in replicates.items() if count == 1]
    if len(single) == len(replicates):
        return f"{text}; with one replicate a row this speaks of users only, not of seeds"
    text += ", and the 95 % bootstrap interval over users and replicates excludes 0"
    return f"{text}; one replicate only, taken as it is: {', '.join(single)}" if single else text


def _replicates(comparison: Comparison) -> Iterator[tuple[str, int]]:
    return zip((comparison.first, comparison.second), comparison.replicates, strict=True)


def _cells(each: Comparison) -> dict[str, str]:
    """Column -> text of a comparison."""
    first, second = each.replicates
    cells = {"metric": each.metric, "first": each.first, "second": each.second}
    cells |= {"users": str(each.users or ""), "seeds_first": str(first), "seeds_second": str(second)}
    numbers: dict[str, float | None] = {"difference": each.difference}
    if users := each.over_users:
        numbers |= {"se_users": users.error, "low": users.interval.low, "high": users.interval.high}
        numbers |= {"bca_low": users.bca.low, "bca_high": users.bca.high, "cohens_d": users.effect}
        numbers |= {"cohens_d_low": users.effect_interval.low, "cohens_d_high": users.effect_interval.high}
        numbers |= {"rank_biserial": users.rank_biserial}
        for test, p in users.p.items():
            numbers |= {f"p_{test}": p, f"holm_{test}": users.adjusted[test]}
    if seeds := each.over_seeds:
        numbers |= {"sd_seeds_first": seeds.spreads[0], "sd_seeds_second": seeds.spreads[1], "se_seeds": seeds.error}
        low, high = seeds.interval or (None, None)
        welch_low, welch_high = seeds.welch or (None, None)
        numbers |= {"users_seeds_low": low, "users_seeds_high": high}
        numbers |= {"welch_low": welch_low, "welch_high": welch_high}
        numbers |= {"p_welch_seeds": seeds.p, "holm_welch_seeds": seeds.adjusted}
    return cells | {name: _text(number) for name, number in numbers.items()}


def _text(number: float | None) -> str:
    return "" if number is None or np.isnan(number) else f"{number:.6g}"


def _shared_metrics(files: Mapping[str, Path], wanted: Sequence[str] | None) -> tuple[list[str], int]:
    """The metrics to compare, in the order of the first file, and the values that one metric has in all of them."""
    reference = next(iter(files.values()))
    with _opened(reference) as arrays:
        judged = {name: arrays[name] for name in _IDS if name in arrays.files}
        names = [*judged, *(name for name in arrays.files if name not in judged and (wanted is None or name in wanted))]
    metrics = [name for name in names if name not in _IDS]
    held = 0
    for path in files.values():
        with _opened(path) as arrays:
            own = {name for name in arrays.files if name in _IDS or wanted is None or name in wanted}
            if different := own ^ set(names):
                raise UserError(
                    f"{', '.join(sorted(different))} stands in only one of this and {reference}",
                    where=path,
                    mend=_AGAIN,
                )
            if not all(np.array_equal(arrays[name], judged[name]) for name in judged):
                raise UserError(
                    f"not the users of {reference}, in the same order: the two cannot be compared user by user",
                    where=path,
                    mend="judge both on the same test split, or delete both and run the experiment again",
                )
            held += arrays[metrics[0]].size if metrics else 0
    return metrics, max(held, 1)


def _read(path: Path, metrics: Sequence[str]) -> np.ndarray:
    """Values (S, E, M) of some metrics, each user once."""
    columns: list[np.ndarray] = []
    with _opened(path) as arrays:
        ids, several = arrays["users"], "folds" in arrays.files
        users = len(ids)
        for metric in metrics:
            column = np.atleast_2d(arrays[metric])
            if column.dtype.kind not in "fiub":
                raise UserError(f"{metric} holds no numbers", where=path, mend=_AGAIN)
            if column.ndim != 2 or column.shape[1] != users or (columns and column.shape != columns[0].shape):
                raise UserError(f"{metric} has shape {column.shape} for {users:,} users", where=path, mend=_AGAIN)
            require_finite(column, metric, path)
            columns.append(column)
    values = np.stack(columns, axis=2)
    return _once(values, ids) if several else values


def _once(values: np.ndarray, users: np.ndarray) -> np.ndarray:
    """(S, U, M) from (S, E, M): each user with the mean over the test folds in which it was judged."""
    order = np.argsort(users, kind="stable")
    _, starts, sizes = np.unique(users[order], return_index=True, return_counts=True)
    return np.asarray(np.add.reduceat(values[:, order], starts, axis=1) / sizes[:, None])


@contextmanager
def _opened(path: Path) -> Iterator[np.lib.npyio.NpzFile]:
    try:
        with path.open("rb") as stream, np.lib.npyio.NpzFile(stream, allow_pickle=False) as arrays:
            yield arrays
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"not a readable file of per-user values: {error}", where=path, mend=_AGAIN) from error
