"""The protocol guard: what is wrong or worth knowing about a split, counted, before any figure is made of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from loguru import logger

from benchmark.data.dataset import Candidates, Dataset
from benchmark.data.splitters import Parts
from workbench.arrays import used_codes


@dataclass(frozen=True)
class Finding:
    """Something that the guard found.

    Attributes
    ----------
    code : a stable name, for `results.json`.
    count : rows, or pairs, that it concerns.
    text : the sentence, with all counts.
    serious : a warning; otherwise a remark.
    part : the held-out part that it concerns, where it concerns one.
    """

    code: str
    count: int
    text: str
    serious: bool = True
    part: str | None = None


def tell(findings: Sequence[Finding]) -> None:
    """Log every finding."""
    for finding in findings:
        (logger.warning if finding.serious else logger.info)(finding.text)


def inspect_split(parts: Parts, by_time: Collection[str] = (), candidates: Candidates = "train") -> list[Finding]:
    """Look for rows that no model can answer for, and for rows that give the answer away.

    Parameters
    ----------
    by_time : the held-out parts, of `validation` and `test`, whose rule claims that their rows are later than training
        rows.
    candidates : which items may be recommended; see `benchmark.data.dataset.build_dataset`.
    """
    coded = _code_together(parts)
    found = []
    for name in ("validation", "test"):
        if name in coded:
            found += _strangers(name, coded, candidates)
    found += _repeated_pairs(coded)
    for name in ("validation", "test"):
        if name in coded and name in by_time:
            found += _future(name, coded)
    return found


def over_folds(findings: Mapping[str, Sequence[Finding]]) -> list[Finding]:
    """What was found in each fold (by its name) as one finding a code and part: the total count, and the sentence of
    the fold that has most."""
    if len(findings) == 1:
        return list(next(iter(findings.values())))
    grouped: dict[tuple[str, str | None], dict[str, Finding]] = {}
    for fold, found in findings.items():
        for each in found:
            grouped.setdefault((each.code, each.part), {})[fold] = each
    told = []
    for group in grouped.values():
        fold, most = max(group.items(), key=lambda entry: entry[1].count)
        total = sum(each.count for each in group.values())
        text = f"{most.text} [fold {fold}, the most of {len(group)} in {len(findings)} folds; {total:,} in all folds]"
        told.append(replace(most, count=total, text=text, serious=any(each.serious for each in group.values())))
    return told


def inspect_mask(dataset: Dataset, mask: str) -> list[Finding]:
    """Validation rows that stay in the lists of the test, as sure misses."""
    if dataset.validation is None or mask != "train":
        return []
    judged = np.isin(dataset.validation.users, dataset.test.users)
    count = int(judged.sum())
    users = len(used_codes(dataset.validation.users[judged]))
    text = (
        f"mask: train: {count:,} validation rows of {users:,} test users are not masked at test, where they can "
        "only be misses (that is Elliot's, MMRec's and Align-MacridVAE's protocol)"
    )
    return [Finding("validation_not_masked", count, text, part="validation")]


def inspect_means(dataset: Dataset) -> list[Finding]:
    """Users who have nothing to find at test: not judged here, and zeros in the means of Align-MacridVAE's training."""
    judged = len(used_codes(dataset.test.users))
    without = dataset.n_users - judged
    if not without:
        return []
    text = (
        f"test: {without:,} of {dataset.n_users:,} users have nothing to find and are left out of the means; "
        f"Align-MacridVAE counts them as 0 in NDCG@100, Recall@20 and @50 (multiply by {judged / dataset.n_users:.6g})"
    )
    return [Finding("users_without_positives", without, text, False, "test")]


@dataclass(frozen=True)
class Figures:
    """What a row of the table reached under the metric that chose it, on validation and on test."""

    row: str
    metric: str
    validation: float
    test: float

    @property
    def ratio(self) -> float:
        return self.test / self.validation if self.validation > 0 else np.inf


def inspect_figures(figures: Sequence[Figures]) -> list[Finding]:
    """Rows that do so much better on test than on validation that they may know the test part.

    Parts differ in size, and so do their figures; so a row is held against the others: its ratio of test to validation
    is more than twice their median, or than 2 where that is below 1 (more than 3 where it stands alone), and the gap is
    at least .1. Rows without hits on validation have no ratio and are no measure of the others.
    """
    found = []
    for place, each in enumerate(figures):
        others = [other.ratio for other in (*figures[:place], *figures[place + 1 :]) if other.validation > 0]
        usual = max(float(np.median(others)), 1.0) if others else 1.5
        if each.ratio > 2 * usual and each.test - each.validation >= 0.1:
            text = (
                f"{each.row}: {each.metric} is {each.test:.4f} on test and {each.validation:.4f} on validation, "
                f"{each.ratio:.1f} times as much ({usual:.1f} times is usual here): does the model, or do its "
                "features, know the test part?"
            )
            found.append(Finding("test_outshines_validation", 1, text))
    return found


@dataclass(frozen=True)
class _Rows:
    """A part under codes that all parts share: users, items (T,) int64, and times or None."""

    users: np.ndarray
    items: np.ndarray
    times: np.ndarray | None


def _code_together(parts: Parts) -> dict[str, _Rows]:
    given = {
        "train": parts.train,
        "validation_input": parts.validation_input,
        "validation": parts.validation,
        "test_input": parts.test_input,
        "test": parts.test,
    }
    present = {name: part for name, part in given.items() if part is not None}
    users = _shared([part.user_ids for part in present.values()])
    items = _shared([part.item_ids for part in present.values()])
    return {
        name: _Rows(_codes(part.users, part.user_ids, users), _codes(part.items, part.item_ids, items), part.timestamps)
        for name, part in present.items()
    }


def _shared(ids: Sequence[np.ndarray]) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for identifier in np.concatenate(ids):
        numbers.setdefault(identifier, len(numbers))
    return numbers


def _codes(codes: np.ndarray, ids: np.ndarray, numbers: dict[str, int]) -> np.ndarray:
    return np.array([numbers[identifier] for identifier in ids], dtype=np.int64)[codes]


def _strangers(name: str, coded: dict[str, _Rows], candidates: Candidates) -> list[Finding]:
    """Rows of users of whom nothing is known, and rows on items without training rows."""
    part, train, shown = coded[name], coded["train"], coded.get(f"{name}_input")
    known_users = train.users if shown is None else np.concatenate([train.users, shown.users])
    unknown = ~np.isin(part.users, known_users)
    cold = ~unknown & ~np.isin(part.items, train.items)
    found = []
    if unknown.any():
        text = (
            f"{name}: {int(unknown.sum()):,} rows of {len(used_codes(part.users[unknown])):,} users "
            "without training rows are left out"
        )
        found.append(Finding("unknown_users", int(unknown.sum()), text, part=name))
    if cold.any():
        what = (
            f"{name}: {int(cold.sum()):,} rows are on {len(used_codes(part.items[cold])):,} items without training rows"
        )
        if candidates == "train":
            most = cold.sum() * 2 > len(part.users)
            then = "; they are no candidates and count as misses" + (" (evaluation.candidates: all)" if most else "")
            found.append(Finding("cold_items", int(cold.sum()), what + then, bool(most), name))
        else:
            found.append(Finding("cold_items", int(cold.sum()), f"{what}; they are candidates", False, name))
    return found


def _repeated_pairs(coded: dict[str, _Rows]) -> list[Finding]:
    """The same (user, item) pair in two parts: what is masked or learnt in one cannot be found in the other."""
    size = 1 + max(int(part.items.max(initial=0)) for part in coded.values())
    found = []
    seen: np.ndarray = np.zeros(0, dtype=np.int64)
    for name, part in coded.items():
        keys = part.users * size + part.items
        common = int(np.isin(keys, seen).sum())
        if common:
            text = f"{common:,} (user, item) pairs of {name} also stand in an earlier part"
            found.append(Finding("repeated_pairs", common, text, part=name))
        seen = np.concatenate([seen, keys])
    return found


def _future(name: str, coded: dict[str, _Rows]) -> list[Finding]:
    """Training rows that are later than what is to be found in a part: of the same user, and of anyone."""
    train, part = coded["train"], coded[name]
    if train.times is None or part.times is None:
        text = f"{name}: its rule is one by time, and the parts have no timestamps to check it by"
        return [Finding("no_times", 0, text, part=name)]
    first = np.full(int(max(train.users.max(initial=0), part.users.max(initial=0))) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, part.users, part.times)
    found = []
    own = train.times > first[train.users]
    if own.any():
        text = (
            f"{name}: {int(own.sum()):,} training rows of {len(used_codes(train.users[own])):,} users are later than a "
            "row of the same user that is to be found, under a split by time"
        )
        found.append(Finding("future_of_the_user", int(own.sum()), text, part=name))
    anyone = int((train.times > part.times.min()).sum())
    if anyone:
        text = (
            f"{name}: {anyone:,} of {len(train.users):,} training rows are later than the earliest held-out row: "
            "models learn from the future of other users (global_time and fixed_timestamp splits do not)"
        )
        found.append(Finding("future_of_others", anyone, text, False, name))
    return found
