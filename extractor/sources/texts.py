"""A TSV file of texts: a header, a column of item ids, a column of texts."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Sequence
from pathlib import Path

from loguru import logger

from extractor.sources.base import Source, Unusable, no_such_path
from workbench.config import nearest
from workbench.errors import UserError

_BOM = b"\xef\xbb\xbf"


class TextFile(Source):
    """The texts of a TSV file, in its order.

    Nothing is unquoted or guessed: a quotation mark is a character and the text `nan` is a text. Texts are
    read from the mapped file when they are needed, so memory holds an id, an offset and a hash an item.

    Parameters
    ----------
    path : the file, or a folder with one file in it.
    item_column, text_column : header names; may be left out where the file has exactly two columns.
    where : `file:line` of the configuration, for messages.

    Raises
    ------
    UserError : no such file or column, a row with the wrong number of fields, an empty id, an id on two
    lines.
    """

    def __init__(self, path: Path, item_column: str | None, text_column: str | None, where: str) -> None:
        self.path = _only_file(path, where)
        if self.path.stat().st_size == 0:
            raise UserError("the file is empty", where=self.path, mend="a header line and one line an item")
        with self.path.open("rb") as stream:
            self._bytes = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        start = len(_BOM) if self._bytes[:3] == _BOM else 0
        end = self._end_of_line(start)
        self.columns = self._decode(start, end, 1).split("\t")
        item_column, text_column = _choose(self.columns, item_column, text_column, self.path, where)
        self._item = self.columns.index(item_column)
        self._text = self.columns.index(text_column)
        self._index(end + 1)

    def read(self, place: int) -> str:
        """The text as it stands in the file."""
        start = self._starts[place]
        text = self._fields(start, self._end_of_line(start), self._lines[place])[self._text]
        if not text.strip():
            raise Unusable("the text is empty")
        return text

    def file(self, place: int) -> str:
        return f"{self.path}:{self._lines[place]}"

    def mark(self, place: int) -> str:
        return self._marks[place].hex()

    def _index(self, start: int) -> None:
        ids: list[str] = []
        self._starts: list[int] = []
        self._lines: list[int] = []
        self._marks: list[bytes] = []
        first_line: dict[str, int] = {}
        line, size = 1, len(self._bytes)
        while start < size:
            line += 1
            end = self._end_of_line(start)
            if end > start and self._bytes[start:end] != b"\r":
                fields = self._fields(start, end, line)
                item = fields[self._item]
                if not item:
                    raise UserError("the item id is empty", where=f"{self.path}:{line}", mend="give it an id")
                if item in first_line:
                    raise UserError(
                        f"item {item!r} stands on lines {first_line[item]} and {line}",
                        where=f"{self.path}:{line}",
                        mend="keep one of the two lines",
                    )
                first_line[item] = line
                ids.append(item)
                self._starts.append(start)
                self._lines.append(line)
                self._marks.append(hashlib.sha256(fields[self._text].encode()).digest()[:12])
            start = end + 1
        if not ids:
            raise UserError("the file has a header and no item", where=self.path)
        self.ids: Sequence[str] = ids

    def _end_of_line(self, start: int) -> int:
        end = self._bytes.find(b"\n", start)
        return len(self._bytes) if end < 0 else end

    def _fields(self, start: int, end: int, line: int) -> list[str]:
        fields = self._decode(start, end, line).split("\t")
        if len(fields) != len(self.columns):
            raise UserError(
                f"{len(fields)} fields where the header has {len(self.columns)}",
                where=f"{self.path}:{line}",
                mend="remove line breaks and tabs from the texts (quotation marks do not protect them)",
            )
        return fields

    def _decode(self, start: int, end: int, line: int) -> str:
        try:
            return self._bytes[start:end].decode("utf-8").removesuffix("\r")
        except UnicodeDecodeError as error:
            raise UserError(
                f"not UTF-8 text: {error.reason} at byte {error.start} of the line",
                where=f"{self.path}:{line}",
                mend="save the file as UTF-8",
            ) from None


def _only_file(path: Path, where: str) -> Path:
    if path.is_dir():
        inside = sorted(entry for entry in path.iterdir() if entry.is_file() and not entry.name.startswith("."))
        if len(inside) == 1:
            return inside[0]
        raise UserError(f"{path} is a folder with {len(inside)} files", where=where, mend="name the TSV file itself")
    if not path.is_file():
        raise no_such_path(path, where, "TSV file")
    return path


def _choose(columns: Sequence[str], item: str | None, text: str | None, path: Path, where: str) -> tuple[str, str]:
    for name in (item, text):
        if name is not None and name not in columns:
            listed = ", ".join(columns)
            raise UserError(
                f"{path} has no column {name!r}; it has: {listed}", where=where, mend=nearest(name, columns)
            )
    doubled = next((name for name in columns if columns.count(name) > 1), None)
    if doubled is not None:
        raise UserError(f"the column {doubled!r} stands twice in the header", where=f"{path}:1", mend="rename one")
    if item is not None and text is not None:
        return item, text
    left = [name for name in columns if name not in (item, text)]
    if len(columns) != 2:
        missing = "item_column" if item is None else "text_column"
        raise UserError(
            f"`{missing}` is missing, and {path} has {len(columns)} columns: {', '.join(columns)}",
            where=where,
            mend=f"add `{missing}:` with one of them",
        )
    item = item if item is not None else left.pop(0)
    text = text if text is not None else left.pop(0)
    logger.info("{}: taking `{}` as the item ids and `{}` as the texts", path, item, text)
    return item, text
