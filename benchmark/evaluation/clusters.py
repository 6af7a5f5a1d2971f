"""Groups of users or items, and categories of items, from files of `id<TAB>group`."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from loguru import logger
from torch import Tensor

from benchmark.data.raw_ids import Column, IdMap, Numbering, index_of, numbering_of
from workbench.errors import UserError


@dataclass(frozen=True)
class Clustering:
    """One group for each user or item.

    Attributes
    ----------
    name : what the groups are of; it stands in the labels of metrics.
    labels : names of the C groups, numbers in numerical order, else alphabetical; each has a member.
    of : (N,) int64 on the device: the group of every user or item as its place in `labels`, -1 for none.
    """

    name: str
    labels: list[str]
    of: Tensor


@dataclass(frozen=True)
class Categories:
    """Any number of categories for each item: item i has `values[indptr[i]:indptr[i + 1]]`.

    Attributes
    ----------
    indptr : (I + 1,) int64.
    values : (V,) int64, numbers below `n`.
    n : categories that at least one item has.
    """

    indptr: Tensor
    values: Tensor
    n: int


def read_clustering(
    path: Path,
    name: str | None,
    ids: Sequence[str],
    device: torch.device,
    raw: IdMap | None = None,
    numbering: Numbering | None = None,
) -> Clustering:
    """Read lines of `id<TAB>group`; ids that the data do not have are skipped, and counted in the log.

    Parameters
    ----------
    name : None for the file's own name.
    ids : ids of the parts, by number.
    raw : the map to raw ids behind them, if there are such.
    numbering : whether the file is under the ids of the parts or under raw ids; None: seen from its ids.

    Raises
    ------
    UserError : no such file, not UTF-8, not two columns, an id in two groups, no id of the data, or ids that fit both
        ways.
    """
    path, rows = Path(os.path.normpath(path)), _rows(path)
    numbers = _numbers(path, rows, ids, raw, numbering)
    found: dict[int, str] = {}
    unknown = 0
    for line, (identifier, *groups) in rows:
        if len(groups) != 1 or not groups[0].strip():
            raise UserError("not an id and a group", where=f"{path}:{line}", mend="write `id<TAB>group`")
        number = numbers.get(identifier)
        if number is None:
            unknown += 1
        elif found.setdefault(number, groups[0].strip()) != groups[0].strip():
            raise UserError(
                f"{identifier!r} stands in two groups", where=f"{path}:{line}", mend="keep one of the two lines"
            )
    _report(path, len(found), unknown, len(ids))
    labels = sorted(set(found.values()), key=_natural)
    place = {label: number for number, label in enumerate(labels)}
    of = torch.full((len(ids),), -1, dtype=torch.int64)
    of[torch.tensor(list(found))] = torch.tensor([place[label] for label in found.values()])
    return Clustering(name or path.stem, labels, of.to(device))


def read_categories(
    path: Path,
    ids: Sequence[str],
    device: torch.device,
    raw: IdMap | None = None,
    numbering: Numbering | None = None,
) -> Categories:
    """Read lines of `id<TAB>category<TAB>category...`; ids that the data do not have are skipped.

    Parameters
    ----------
    ids, raw, numbering : as `read_clustering`.

    Raises
    ------
    UserError : no such file, not UTF-8, an id on two lines, no id of the data with a category, or ids that fit both
        ways.
    """
    path, rows = Path(os.path.normpath(path)), _rows(path)
    numbers = _numbers(path, rows, ids, raw, numbering)
    found: dict[int, list[str]] = {}
    unknown = 0
    for line, (identifier, *given) in rows:
        number = numbers.get(identifier)
        if number is None:
            unknown += 1
        elif number in found:
            raise UserError(f"{identifier!r} stands on two lines", where=f"{path}:{line}", mend="join the two lines")
        else:
            found[number] = sorted({category.strip() for category in given} - {""})
    found = {number: given for number, given in found.items() if given}
    _report(path, len(found), unknown, len(ids))
    place = {label: number for number, label in enumerate(sorted({label for each in found.values() for label in each}))}
    counts = torch.tensor([len(found.get(number, ())) for number in range(len(ids))])
    values = torch.tensor([place[label] for number in range(len(ids)) for label in found.get(number, ())])
    return Categories(torch.nn.functional.pad(counts.cumsum(0), (1, 0)).to(device), values.to(device), len(place))


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """Line numbers and columns of the lines that are not empty."""
    shown = os.path.normpath(path)
    if not path.is_file():
        stems = {each.stem: each.name for each in path.parent.glob("*")}
        near = difflib.get_close_matches(path.stem, stems, n=1, cutoff=0.8)
        raise UserError(
            "no such file of groups",
            where=shown,
            mend=f"did you mean {stems[near[0]]}?" if near else "check the path",
        )
    try:
        with path.open(encoding="utf-8-sig") as stream:
            rows = [(number, line.rstrip("\r\n").split("\t")) for number, line in enumerate(stream, 1) if line.strip()]
    except UnicodeDecodeError as error:
        raise UserError(f"not UTF-8 text: {error.reason}", where=shown, mend="save the file as UTF-8") from None
    if not rows:
        raise UserError("the file is empty", where=shown, mend="write lines of an id, a tab and its group")
    return rows


def _numbers(
    path: Path, rows: list[tuple[int, list[str]]], ids: Sequence[str], raw: IdMap | None, numbering: Numbering | None
) -> dict[str, int]:
    numbering = numbering or numbering_of([Column((identifier for _, (identifier, *_) in rows), ids, raw)], path)
    return index_of(ids, raw, numbering)


def _report(path: Path, found: int, unknown: int, n: int) -> None:
    if not found:
        raise UserError(
            "none of its ids is one of the training part",
            where=path,
            mend="write the ids of the data set, one tab after each",
        )
    if unknown or found < n:
        logger.info("{}: says something of {} of {} ids; {} lines of other ids skipped", path, found, n, unknown)


def _natural(label: str) -> tuple[bool, int, str]:
    try:
        return False, int(label), label
    except ValueError:
        return True, 0, label
