"""Adjacency lists, as LightGCN and NGCF read them: a user and all its items on one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.data.formats.rows import Coder, Rows
from benchmark.data.formats.text import open_bytes
from workbench.errors import UserError

_BLOCK = 1 << 23  # bytes of whole lines taken at a time
_BLANKS = np.zeros(256, dtype=bool)
_BLANKS[[9, 10, 11, 12, 13, 32]] = True  # what bytes.split() cuts at


def read_adjacency(path: Path) -> Rows:
    """Read lines `user item item ...`, separated by blanks; a user that stands alone has no rows.

    Raises
    ------
    UserError : the file is not UTF-8, or no line has an item.
    """
    users, items, lines = Coder(), Coder(), [np.empty(0, dtype=np.int64)]
    before = 0
    with open_bytes(path) as stream:
        while block := b"".join(stream.readlines(_BLOCK)):
            if before == 0:
                block = block.removeprefix(b"\xef\xbb\xbf")
            codes, tokens = pd.factorize(np.array(block.split(), dtype=object))
            values = [token.decode("utf-8") for token in tokens]
            characters = np.frombuffer(block, dtype=np.uint8)
            begins = ~_BLANKS[characters]
            begins[1:] &= _BLANKS[characters[:-1]]
            ends = characters == ord("\n")
            line = np.cumsum(ends)[begins]
            heads = np.diff(line, prepend=-1) > 0
            users.add(np.repeat(codes[heads], np.diff(np.flatnonzero(np.append(heads, True))) - 1), values)
            items.add(codes[~heads], values)
            lines.append(before + line[~heads])
            before += int(ends.sum())
    line_of = np.concatenate(lines)
    if len(line_of) == 0:
        raise UserError("no line has an item behind its user", where=path, mend="write lines `user item item ...`")
    return Rows(users.finish(), items.finish(), None, None, None, lambda row: int(line_of[row]) + 1)
