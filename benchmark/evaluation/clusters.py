"""Groups of users or items, and categories of items, from files under raw ids."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from loguru import logger
from torch import Tensor

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


def read_clustering(path: Path, name: str | None, ids: Sequence[str], device: torch.device) -> Clustering:
    """Read lines of `id<TAB>group`; ids that the data do not have are skipped, and counted in the log.

    Parameters
    ----------
    name : None for the file's own name.
    ids : raw ids by number.

    Raises
    ------
    UserError : no such file, not UTF-8, not two columns, an id in two groups, or no id of the data.
    """
    numbers = {identifier: number for number, identifier in enumerate(ids)}
    found: dict[int, str] = {}
    unknown = 0
    for line, (identifier, *groups) in _rows(path):
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


def read_categories(path: Path, ids: Sequence[str], device: torch.device) -> Categories:
    """Read lines of `id<TAB>category<TAB>category...`; ids that the data do not have are skipped.

    Raises
    ------
    UserError : no such file, not UTF-8, an id on two lines, or no id of the data with a category.
    """
    numbers = {identifier: number for number, identifier in enumerate(ids)}
    found: dict[int, list[str]] = {}
    unknown = 0
    for line, (identifier, *given) in _rows(path):
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


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and columns of the lines that are not empty."""
    if not path.is_file():
        names = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
        near = difflib.get_close_matches(path.name, names, n=1)
        hint = f"did you mean {path.parent / near[0]}?" if near else "check the path"
        raise UserError("no such file of groups", where=path, mend=hint)
    with path.open(encoding="utf-8-sig") as stream:
        try:
            for number, line in enumerate(stream, start=1):
                if line.strip():
                    yield number, line.rstrip("\r\n").split("\t")
        except UnicodeDecodeError as error:
            raise UserError(f"not UTF-8 text: {error.reason}", where=path, mend="save the file as UTF-8") from None


def _report(path: Path, found: int, unknown: int, n: int) -> None:
    if not found:
        raise UserError(
            "none of its ids is one of the training part",
            where=path,
            mend="write the ids of the split, not their numbers, one tab after each",
        )
    if unknown or found < n:
        logger.info("{}: says something of {} of {} ids; {} lines of other ids skipped", path, found, n, unknown)


def _natural(label: str) -> tuple[bool, int, str]:
    try:
        return False, int(label), label
    except ValueError:
        return True, 0, label
