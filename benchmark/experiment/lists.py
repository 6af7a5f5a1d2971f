"""Ranked lists under raw ids: whole, as a file, and of some users, to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmark.data.dataset import Csr
from benchmark.data.raw_ids import raw_of
from benchmark.evaluation import Ranking
from benchmark.experiment.fold import Fold
from benchmark.reports.report import Example, ListedItem
from workbench.files import atomic_file

EXAMPLES = 6  # users
SHOWN = 10  # items of each list
_HISTORY = 12  # items of what a user had, and of what is to be found


def write_lists(path: Path, ranking: Ranking, fold: Fold) -> None:
    """Write user, item and score by tabs, best first, under raw ids."""
    items, scores = ranking.items.cpu().numpy(), ranking.scores.cpu().numpy()
    rows, columns = np.nonzero(items >= 0)
    user_ids, item_ids = _names(fold)
    users = user_ids[ranking.users.cpu().numpy()[rows]]
    lines = zip(users, item_ids[items[rows, columns]], scores[rows, columns].tolist(), strict=True)
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(f"{user}\t{item}\t{score:.9g}\n" for user, item, score in lines)


def example_users(fold: Fold) -> np.ndarray:
    """Numbers of some judged users of the test part, ascending; the same for every row of the table."""
    users = fold.test.held_out.users.cpu().numpy()
    drawn = np.random.default_rng(0).choice(users, min(EXAMPLES, len(users)), replace=False)
    return np.asarray(np.sort(drawn))


def example_lists(ranking: Ranking, fold: Fold) -> dict[str, list[list[Any]]]:
    """Raw user id -> item, score and whether it is a hit, of the first items of the lists of the example users."""
    item_ids, user_ids = _names(fold)[1], _names(fold)[0]
    places = np.searchsorted(ranking.users.cpu().numpy(), example_users(fold))
    lists = {}
    for place in places:
        items = ranking.items[place, :SHOWN].cpu().numpy()
        scores, hits = (column[place, :SHOWN].tolist() for column in (ranking.scores, ranking.hits))
        shown = zip(items.tolist(), scores, hits, strict=True)
        lists[user_ids[int(ranking.users[place])]] = [
            [item_ids[item], score, hit > 0] for item, score, hit in shown if item >= 0
        ]
    return lists


def examples(fold: Fold, lists: dict[str, dict[str, list[list[Any]]]], threshold: float) -> list[Example]:
    """What the example users had and were to find, with their lists by row of the table."""
    user_ids, item_ids = _names(fold)
    found = []
    for user in example_users(fold).tolist():
        name = user_ids[user]
        shown = {row: [ListedItem(*each) for each in given[name]] for row, given in lists.items() if name in given}
        history, _ = _rows(fold.dataset.train, user)
        wanted, ratings = _rows(fold.dataset.test, user)
        names = [item_ids[items[:_HISTORY]].tolist() for items in (history, wanted[ratings >= threshold])]
        found.append(Example(name, names[0], names[1], shown))
    return found


def _rows(part: Csr, user: int) -> tuple[np.ndarray, np.ndarray]:
    """Items and ratings of a user."""
    rows = slice(part.indptr[user], part.indptr[user + 1])
    return part.items[rows], part.values[rows]


def _names(fold: Fold) -> tuple[np.ndarray, np.ndarray]:
    """Raw ids of users and items by number."""
    raw = fold.judges.raw_ids
    users, items = raw_of(fold.dataset.user_ids, raw.users), raw_of(fold.dataset.item_ids, raw.items)
    return np.array(users, dtype=object), np.array(items, dtype=object)
