"""Negatives of sampled evaluation: drawn or read, and written in the same form (`(user,)`, then items, by tabs)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from loguru import logger

from benchmark.config.sampling import NegativeSampling
from benchmark.data.dataset import Csr, Dataset
from benchmark.data.raw_ids import NO_MAPS, Numbering, RawIds, index_of, numbering_of_pairs
from benchmark.evaluation.candidates import Negatives, Part, catalogue_keys, distinct_keys, draw_negatives
from workbench.errors import UserError
from workbench.files import atomic_file

_LINES = 4096  # lines held as text at a time


def load_negatives(
    settings: NegativeSampling,
    dataset: Dataset,
    part: Part,
    threshold: float,
    seed: int,
    path: Callable[[str], Path],
    raw: RawIds = NO_MAPS,
) -> Negatives:
    """The negatives of all users who are judged on a part, as the block says.

    No item of any part is a negative of its user; at validation the test part counts as unknown.

    Parameters
    ----------
    threshold : a user is judged who has a held-out row of at least this rating.
    path : from a path as it stands in the file to where it leads.
    raw : the maps behind the ids of the data set.
    """
    held_out = dataset.test if part == "test" else dataset.validation
    assert held_out is not None
    users = np.flatnonzero(np.bincount(held_out.users[held_out.values >= threshold]))
    parts = [dataset.train, dataset.validation, dataset.validation_input, dataset.test_input]
    parts += [dataset.test] if part == "test" else []  # what chooses must not learn what the test asks for
    known = [each for each in parts if each is not None]
    if settings.strategy == "fixed":
        return read_negatives(path(settings.file_for(part)), dataset, users, known, raw, settings.ids)
    assert settings.num_items is not None
    drawn = draw_negatives(users, known, dataset.n_items, settings.num_items, seed, part)
    short = int((drawn.counts < settings.num_items).sum())
    if short:
        logger.warning(
            "{}: {} of {} users have fewer than {} negatives (fewest: {}), as the catalogue has no more for them",
            part, short, len(users), settings.num_items, drawn.fewest,
        )  # fmt: skip
    return drawn


def read_negatives(
    path: Path,
    dataset: Dataset,
    users: np.ndarray,
    known: Sequence[Csr],
    raw: RawIds = NO_MAPS,
    numbering: Numbering | None = None,
) -> Negatives:
    """Read a line a user: `(user,)`, `('user',)` or `user`, then items, all separated by tabs, UTF-8.

    Left out, with a warning that counts them: lines of unknown users, items outside the catalogue, and items that
    stand in a part of the split with that user.

    Parameters
    ----------
    users : (E,) int64, ascending: the judged users, each of whom needs a line.
    known : all parts of the split.
    raw : the maps behind the ids of the data set.
    numbering : whether the file is under the ids of the parts or under raw ids; None: seen from its ids.

    Raises
    ------
    UserError : no such file, a malformed line, a user twice, a judged user without a line, most of the items outside
        the catalogue, no negative left, or ids that fit both ways.
    """
    item_ids = dataset.item_ids[: dataset.n_items]
    if numbering is None:
        ids = (([user.strip("'\"") for _, user, _ in block], _items(block)) for block in _blocks(path))
        numbering = numbering_of_pairs(ids, dataset.user_ids, item_ids, raw, path)
    numbers = index_of(dataset.user_ids, raw.users, numbering)
    index = index_of(item_ids, raw.items, numbering)
    catalogue, at = pd.Index(np.array(list(index), dtype=object)), np.array([*index.values(), -1])
    line_of: dict[str, int] = {}
    keys: list[np.ndarray] = [np.zeros(0, dtype=np.int64)]
    strangers = listed = unknown = 0
    for block in _blocks(path):
        names = [user if user in numbers else user.strip("'\"") for _, user, _ in block]
        for (line, *_), user in zip(block, names, strict=True):
            if line_of.setdefault(user, line) != line:
                raise UserError(
                    f"the user {user!r} has a line already, line {line_of[user]}",
                    where=f"{path}:{line}",
                    mend="join the two lines",
                )
        owners = np.array([numbers.get(user, -1) for user in names])
        places = at[catalogue.get_indexer(pd.Index(_items(block), dtype=object))]
        rows = np.repeat(owners, [len(items) for *_, items in block])
        strangers += int((owners < 0).sum())
        listed += len(places)
        unknown += int((places < 0).sum())
        usable = (places >= 0) & (rows >= 0)
        keys.append(rows[usable] * dataset.n_items + places[usable])
    written = {numbers[user] for user in line_of if user in numbers}
    missing = [number for number in users.tolist() if number not in written]
    if missing:
        raise UserError(
            f"{len(missing)} of {len(users)} judged users have no line, among them "
            f"{', '.join(repr(dataset.user_ids[number]) for number in missing[:3])}",
            where=path,
            mend="add a line for each, give each held-out part a file of its own, or take `strategy: random`",
        )
    if 2 * unknown > listed:
        raise UserError(
            f"{unknown} of {listed} items are not in the catalogue",
            where=path,
            mend="give the items the ids of the files that the experiment reads",
        )
    found = distinct_keys(keys)
    found = found[np.isin(found // dataset.n_items, users)]
    positive = np.isin(found, catalogue_keys(known, dataset.n_items))
    for count, what in (
        (strangers, "lines of unknown users"),
        (unknown, "items outside the catalogue"),
        (int(positive.sum()), "items that stand in a part of the split with their user"),
    ):
        if count:
            logger.warning("{}: {} {} are left out", path, count, what)
    found = found[~positive]
    if len(found) == 0:
        raise UserError(
            "no judged user has a negative left", where=path, mend="write items behind the users that they have not had"
        )
    starts = np.searchsorted(found, users * dataset.n_items)
    read = Negatives(users, np.append(starts, len(found)), (found % dataset.n_items).astype(np.int32))
    if read.fewest == 0:
        alone = int((read.counts == 0).sum())
        logger.warning("{}: {} of {} judged users have no negatives", path, alone, len(users))
    return read


def write_negatives(path: Path, negatives: Negatives, dataset: Dataset) -> None:
    """Write a line for every judged user, as `read_negatives` reads it."""
    item_ids = np.array(dataset.item_ids[: dataset.n_items], dtype=object)
    ends = negatives.indptr.tolist()
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        for row, user in enumerate(negatives.users.tolist()):
            items = item_ids[negatives.items[ends[row] : ends[row + 1]]]
            stream.write("\t".join([f"({dataset.user_ids[user]},)", *items]) + "\n")


def _items(block: list[tuple[int, str, list[str]]]) -> list[str]:
    return [item for *_, items in block for item in items]


def _blocks(path: Path) -> Iterator[list[tuple[int, str, list[str]]]]:
    """Line number, user and items of the lines that are not blank, some at a time."""
    if not path.is_file():
        raise UserError("no such file of negatives", where=path, mend="mend `files`, or take `strategy: random`")
    block: list[tuple[int, str, list[str]]] = []
    with path.open("rb") as stream:
        for number, raw in enumerate(stream, start=1):
            try:
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n\t")
            except UnicodeDecodeError as error:
                raise UserError(
                    f"not UTF-8 text: {error.reason}", where=f"{path}:{number}", mend="save the file as UTF-8"
                ) from error
            if not text.strip():
                continue
            first, *items = text.split("\t")
            bracketed = first.startswith("(") and first.endswith(",)")
            user = first[1:-2] if bracketed else first
            if not user or "" in items or not (items or bracketed):
                raise UserError(
                    "this line is no user with negatives",
                    where=f"{path}:{number}",
                    mend="write `(user,)` and the items behind it, all separated by single tabs",
                )
            block.append((number, user, items))
            if len(block) == _LINES:
                yield block
                block = []
    if block:
        yield block
