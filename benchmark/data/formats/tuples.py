"""Cornac's tuples written out: lists of (user, item[, rating[, timestamp]]) as JSON or as one numpy array."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.data.formats.rows import Coder, Rows, Texts
from benchmark.data.formats.text import open_bytes
from workbench.errors import UserError


def read_tuples(path: Path, suffix: str) -> Rows:
    """Read `.json` (a list of lists) or `.npy` ((T, 2 to 4), numbers or strings); nothing is ever unpickled.

    Raises
    ------
    UserError : no such list or array; the entry is named.
    """
    columns = _json_columns(path) if suffix == ".json" else _array_columns(path)
    if not columns or not len(columns[0]):
        raise UserError("the file holds no interactions", where=path)
    texts = [_texts(column) for column in columns]
    rating, timestamp = (texts[place] if len(texts) > place else None for place in (2, 3))
    return Rows(texts[0], texts[1], rating, timestamp, None, lambda row: row + 1)


def _json_columns(path: Path) -> list[list[str]]:
    with open_bytes(path) as stream:
        content = stream.read()
        try:
            entries = json.loads(content)
        except json.JSONDecodeError as error:
            raise UserError(f"broken JSON: {error.msg}", where=f"{path}:{error.lineno}", mend="mend it") from error
        except RecursionError:
            raise UserError("lists nested too deeply", where=path, mend="write a list of lists") from None
    if not isinstance(entries, list):
        raise UserError("no list at the top", where=path, mend="write [[user, item, rating], ...]")
    width = len(entries[0]) if entries and isinstance(entries[0], list) else 0
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, list) or len(entry) != width or not 2 <= width <= 4:
            raise UserError(
                f"entry {number} is no list of {width if 2 <= width <= 4 else '2 to 4'} values",
                where=path,
                mend="write [user, item], [user, item, rating] or [user, item, rating, timestamp], all alike",
            )
        if any(isinstance(value, bool) or not isinstance(value, (str, int, float)) for value in entry):
            raise UserError(f"entry {number} holds something that is neither text nor number", where=path)
    return [[str(value) for value in column] for column in zip(*entries, strict=True)]


def _array_columns(path: Path) -> list[list[str]]:
    with open_bytes(path) as stream:
        content = io.BytesIO(stream.read())
    try:
        array: np.ndarray = np.load(content, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise UserError(
            f"not readable as an array: {error}",
            where=path,
            mend="save a plain array of numbers or strings, or a JSON list; pickles are never opened",
        ) from error
    if not isinstance(array, np.ndarray) or array.ndim != 2 or not 2 <= array.shape[1] <= 4:
        shape = getattr(array, "shape", "no array")
        raise UserError(f"an array of (T, 2 to 4) is expected, found {shape}", where=path, mend="save one tuple a row")
    if array.dtype.kind not in "iufU":
        raise UserError(f"an array of {array.dtype}", where=path, mend="save numbers or strings")
    if array.dtype.kind == "f":  # one type for the whole array: ids that are whole numbers were integers
        ids = array[:, :2]
        wrong = ~(np.isfinite(ids) & (ids == np.floor(ids)) & (np.abs(ids) < 2**53)).all(axis=1)
        if wrong.any():
            raise UserError(f"row {int(wrong.argmax()) + 1} has an id that is no whole number", where=path)
        whole = [[str(int(value)) for value in column] for column in ids.T.tolist()]
        return [*whole, *([repr(value) for value in column] for column in array[:, 2:].T.tolist())]
    return [[str(value) for value in column] for column in array.T.tolist()]


def _texts(column: Any) -> Texts:
    coder = Coder()
    coder.add(np.arange(len(column)), column)
    return coder.finish()
