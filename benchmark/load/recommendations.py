"""Files of recommendations: read a part at a time, and judged."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import pandas as pd

from benchmark.config.proxies import Order
from benchmark.data.dataset import Csr, Dataset
from benchmark.data.raw_ids import NO_MAPS, Numbering, RawIds, index_of, numbering_of_pairs
from benchmark.evaluation.candidates import Candidates
from benchmark.evaluation.held_out import HeldOut
from benchmark.evaluation.proxy import Recommendations, ranking_of_lists
from benchmark.evaluation.ranking import Ranking
from workbench.errors import UserError

_LINES = 2**18  # lines held as text at a time
_COLUMNS = ["user", "item", "score"]


def rank_list_file(
    path: Path,
    order: Order,
    dataset: Dataset,
    held_out: HeldOut,
    masked: Sequence[Csr],
    candidates: Candidates | None = None,
    raw: RawIds = NO_MAPS,
    numbering: Numbering | None = None,
) -> Ranking:
    """The lists of a file under the protocol of the bench; see `ranking_of_lists` and `read_recommendations`."""
    chunks = read_recommendations(path, order, dataset.user_ids, dataset.item_ids[: dataset.n_items], raw, numbering)
    return ranking_of_lists(chunks, held_out, masked, dataset.n_items, path, candidates)


def read_recommendations(
    path: Path,
    order: Order,
    user_ids: Sequence[str],
    item_ids: Sequence[str],
    raw: RawIds = NO_MAPS,
    numbering: Numbering | None = None,
) -> Iterator[Recommendations]:
    """Read lines of user, item and, if there is one, score; tabs, no header, UTF-8, `.gz` for a compressed file.

    Parameters
    ----------
    order : `file`: the lines' order stands in the place of scores, as it does without scores.
    user_ids, item_ids : ids of the parts, by number.
    raw : the maps to raw ids behind them.
    numbering : whether the file is under the ids of the parts or under raw ids; None: seen from its ids.

    Raises
    ------
    UserError : no such file, no lines, a line that cannot be read, ranks where there should be scores, or ids that fit
        both ways.
    """
    if numbering is None:
        ids = ((frame["user"].unique(), frame["item"].unique()) for frame in _frames(path))
        numbering = numbering_of_pairs(ids, user_ids, item_ids, raw, path)
    users, items = (
        _Numbers(index_of(ids, known, numbering)) for ids, known in ((user_ids, raw.users), (item_ids, raw.items))
    )
    for number, frame in enumerate(_frames(path)):
        lines = frame.index.to_numpy() + 1
        scores = -lines.astype(np.float64)
        if order == "score" and "score" in frame:
            scores = _scores(frame, path)
            if number == 0:
                _refuse_ranks(frame["user"], scores, path)
        yield Recommendations(users.of(frame["user"]), items.of(frame["item"]), scores, lines)


class _Numbers:
    """Numbers of many ids at once; -1 for an unknown one."""

    def __init__(self, index: Mapping[str, int]) -> None:
        self._ids = pd.Index(np.array(list(index), dtype=object))
        self._at = np.array([*index.values(), -1], dtype=np.int64)

    def of(self, ids: pd.Series) -> np.ndarray:
        return np.asarray(self._at[self._ids.get_indexer(pd.Index(ids))])


def _frames(path: Path) -> Iterator[pd.DataFrame]:
    """Columns of text, some lines at a time, without blank lines; the index is the line number less 1."""
    if not path.is_file():
        raise UserError("no such file of recommendations", where=path, mend="check the path")
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
            first = stream.readline()
            if not first:
                raise UserError("the file is empty", where=path, mend="put lines of user, item and score there")
            width = first.count(b"\t") + 1
            if not 2 <= width <= len(_COLUMNS):
                raise UserError(
                    f"{width} tab-separated columns where 2 or 3 are expected (user, item, score)",
                    where=f"{path}:1",
                    mend="separate the columns by tabs, without a header",
                )
            stream.seek(0)
            options: dict[str, Any] = {
                "sep": "\t",
                "header": None,
                "names": _COLUMNS[:width],
                "index_col": False,
                "dtype": str,
                "quoting": 3,
                "na_filter": False,
                "skip_blank_lines": False,
                "encoding": "utf-8-sig",
                "chunksize": _LINES,
            }
            for frame in pd.read_csv(cast("IO[bytes]", stream), **options):
                yield _complete(frame, path)
    except UnicodeDecodeError as error:
        raise UserError(f"not UTF-8 text: {error.reason}", where=path, mend="save the file as UTF-8") from error
    except pd.errors.ParserError as error:
        found = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
        where = f"{path}:{found[2]}" if found else str(path)
        what = f"{found[3]} columns where the first line has {found[1]}" if found else str(error)
        raise UserError(what, where=where, mend="mend or remove that line") from error
    except (EOFError, OSError, zlib.error) as error:
        raise UserError(f"cannot be read: {error}", where=path, mend="make the file again") from error


def _complete(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    missing = np.column_stack([(frame[name] == "").to_numpy() for name in frame.columns])
    blank = missing.all(axis=1)
    broken = missing.any(axis=1) & ~blank
    if broken.any():
        row = int(broken.argmax())
        name = frame.columns[int(missing[row].argmax())]
        raise UserError(
            f"no {name} in this line", where=f"{path}:{int(frame.index[row]) + 1}", mend="complete or remove the line"
        )
    return frame.iloc[np.flatnonzero(~blank)]


def _scores(frame: pd.DataFrame, path: Path) -> np.ndarray:
    scores = pd.to_numeric(frame["score"], errors="coerce").to_numpy(dtype=np.float64)
    wrong = ~np.isfinite(scores)
    if wrong.any():
        row = int(wrong.argmax())
        line = int(frame.index[row]) + 1
        header = "; is it a header? Files of recommendations have none" if line == 1 else ""
        raise UserError(
            f"the score {frame['score'].iloc[row]!r} is not a finite number{header}",
            where=f"{path}:{line}",
            mend="mend or remove the line; `order: file` takes the lists as the lines stand, without scores",
        )
    return scores


def _refuse_ranks(users: pd.Series, scores: np.ndarray, path: Path) -> None:
    """Ranks in the place of scores would turn every list upside down, and nobody would see."""
    place = users.groupby(users, sort=False).cumcount().to_numpy()
    if place.any() and (np.array_equal(scores, place) or np.array_equal(scores, place + 1)):
        raise UserError(
            "the third column counts the lines of each user, as ranks do, and the highest score comes first",
            where=path,
            mend="say `order: file` to take the lists as the lines stand",
        )
