"""Lists that were made elsewhere, judged as a model's are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from loguru import logger

from benchmark.data.dataset import Csr
from benchmark.evaluation.candidates import Candidates, catalogue_keys
from benchmark.evaluation.held_out import HeldOut
from benchmark.evaluation.ranking import Ranking, rank_lists
from workbench.errors import UserError

_STRANGE = 10  # lists in which fewer than one item of so many is known are of another catalogue
_HELD = 2**22  # recommendations held at a time beyond those that may be judged


@dataclass(frozen=True)
class Recommendations:
    """Some lines of a file of recommendations.

    Attributes
    ----------
    users, items : (N,) int64 numbers; -1 for a user who is not in the data set, and for an item outside the catalogue.
    scores : (N,) float64, the higher the better.
    lines : (N,) int64, line numbers in the file.
    """

    users: np.ndarray
    items: np.ndarray
    scores: np.ndarray
    lines: np.ndarray

    def select(self, rows: np.ndarray) -> Recommendations:
        """The rows under a boolean mask or at given positions."""
        return Recommendations(self.users[rows], self.items[rows], self.scores[rows], self.lines[rows])

    @staticmethod
    def join(parts: Sequence[Recommendations]) -> Recommendations:
        columns = [(part.users, part.items, part.scores, part.lines) for part in parts]
        return Recommendations(*(np.concatenate(column) for column in zip(*columns, strict=True)))


def ranking_of_lists(
    chunks: Iterable[Recommendations],
    held_out: HeldOut,
    masked: Sequence[Csr],
    n_items: int,
    source: object,
    candidates: Candidates | None = None,
) -> Ranking:
    """The lists of all judged users under the protocol of the bench.

    Masked items, and with sampled candidates all items but those, are taken out before the lists are cut. Equal scores
    rank by item number. An item outside the catalogue keeps its place and is a miss (-1 in the ranking). A user without
    a list has an empty one. Lists of users who are not judged do not matter. All of this is counted and told.

    Parameters
    ----------
    masked : parts whose items are not recommended again.
    n_items : I, the number of catalogue items.
    source : what the lists were read from, for messages.

    Raises
    ------
    UserError : an item stands twice in a list, no judged user has one, or hardly an item is in the catalogue.
    """
    judged, k = held_out.users.cpu().numpy(), held_out.ideal.shape[1]
    hidden = catalogue_keys(masked, n_items)
    parts: list[Recommendations] = []
    best = n_held = taken_out = strangers = n_asked = n_known = 0
    for chunk in chunks:
        strangers += int((chunk.users < 0).sum())
        keys = chunk.users * n_items + chunk.items
        wanted, known = _among(judged, chunk.users), chunk.items >= 0
        n_asked += int(wanted.sum())
        n_known += int((wanted & known).sum())
        out = wanted & known & _among(hidden, keys)
        taken_out += int(out.sum())
        wanted &= ~out
        if candidates is not None:
            wanted &= known & _among(candidates.keys, keys)
        parts.append(chunk.select(wanted))
        n_held += len(parts[-1].users)
        if n_held > best + _HELD:
            parts = [_best(Recommendations.join(parts), k, n_items, source)]
            best = n_held = len(parts[0].users)
    if n_asked > _STRANGE * n_known:
        raise UserError(
            f"{n_asked - n_known} of the {n_asked} items that stand here with judged users are not in the catalogue",
            where=source,
            mend="give users and items the ids of the files that the experiment reads",
        )
    if n_held == 0:
        raise UserError(
            f"there is no list here for any of the {len(judged)} judged users",
            where=source,
            mend="give users and items the ids of the files that the experiment reads",
        )
    lists = _best(Recommendations.join(parts), k, n_items, source)
    rows = np.searchsorted(judged, lists.users)
    lengths = np.bincount(rows, minlength=len(judged))
    ranks = np.arange(len(rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    items = np.full((len(judged), k), -1)
    scores = np.full((len(judged), k), -np.inf, dtype=np.float32)
    items[rows, ranks] = lists.items
    with np.errstate(over="ignore"):
        scores[rows, ranks] = lists.scores
    _tell(source, k, lengths, taken_out, strangers, int((lists.items < 0).sum()))
    device = held_out.users.device
    return rank_lists(held_out, torch.from_numpy(items).to(device), torch.from_numpy(scores).to(device))


def _best(lists: Recommendations, k: int, n_items: int, source: object) -> Recommendations:
    """The first k of each user, by user and rank; refuses an item that stands twice in a list."""
    keys = np.where(lists.items >= 0, lists.users * n_items + lists.items, -lists.lines)
    order = np.lexsort((lists.lines, keys))
    again = keys[order][1:] == keys[order][:-1]
    if again.any():
        first = int(again.argmax())
        lines = lists.lines[order[first : first + 2]]
        raise UserError(
            f"the same user and item stand on line {lines[0]} ({int(again.sum())} lines repeat a pair)",
            where=f"{source}:{lines[1]}",
            mend="a list holds an item once: remove one of the lines",
        )
    numbers = np.where(lists.items >= 0, lists.items, n_items)
    ranked = lists.select(np.lexsort((lists.lines, numbers, -lists.scores, lists.users)))
    counts = np.bincount(ranked.users)
    ranks = np.arange(len(ranked.users)) - (np.cumsum(counts) - counts)[ranked.users]
    return ranked.select(ranks < k)


def _among(ascending: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """(N,) bool: which of the keys (N,) are among others in ascending order."""
    if len(ascending) == 0:
        return np.zeros(len(keys), dtype=bool)
    places = np.searchsorted(ascending, keys).clip(max=len(ascending) - 1)
    return np.asarray(ascending[places] == keys)


def _tell(source: object, k: int, lengths: np.ndarray, taken_out: int, strangers: int, outside: int) -> None:
    if strangers:
        logger.warning("{}: {} lines of users who are not in the data set are left out", source, strangers)
    if taken_out:
        logger.warning("{}: {} recommended items are masked for their user, and taken out", source, taken_out)
    if outside:
        logger.warning("{}: {} of the judged items are not in the catalogue; they count as misses", source, outside)
    missing = int((lengths == 0).sum())
    if missing:
        logger.warning("{}: {} of {} judged users have no list; they count as 0", source, missing, len(lengths))
    short = int((lengths < k).sum()) - missing
    if short:
        logger.info("{}: {} of {} lists have fewer than {} items", source, short, len(lengths), k)
