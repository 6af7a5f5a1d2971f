"""TSV files of texts: a header, a column of item ids (or of users and of items), a column of texts."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Sequence
from pathlib import Path

from loguru import logger

from extractor.sources.base import Note, Source, Unusable, no_such_path
from workbench.config import nearest
from workbench.errors import UserError
from workbench.pairs import pair_id

_BOM = b"\xef\xbb\xbf"


class TextFile(Source):
    """The texts of a TSV file, in its order.

    Nothing is unquoted or guessed: a quotation mark is a character and the text `nan` is a text. Texts are
    read from the mapped file when they are needed, so memory holds an id, an offset and a hash an item.

    A line that is broken (fields missing or too many, bytes that are no UTF-8, a NUL) is an item that cannot
    be used if its id can be told, else it goes to `left_out`. Of several lines for one id the first is taken.

    Parameters
    ----------
    path : the file, or a folder with one file in it.
    item_column, text_column : header names; may be left out where the file has exactly two columns.
    where : `file:line` of the configuration, for messages.

    Raises
    ------
    UserError : no such file or column, a broken header, or no item.
    """

    noun, plural = "text", "texts"

    def __init__(self, path: Path, item_column: str | None, text_column: str | None, where: str) -> None:
        start = self._open(path, where)
        item_column, text_column = _choose(self.columns, item_column, text_column, self.path, where)
        self._index((item_column,), text_column, start)

    def read(self, place: int) -> str:
        """The text as it stands in the file."""
        start = self._starts[place]
        text = self._fields(start, self._end_of_line(start))[self._text]
        if not text.strip():
            raise Unusable("the text is empty")
        return text

    def file(self, place: int) -> str:
        return f"{self.path}:{self._lines[place]}"

    def mark(self, place: int) -> str:
        return self._marks[place].hex()

    def digest(self, place: int) -> bytes:
        return self._marks[place]

    def _open(self, path: Path, where: str) -> int:
        """Map the file and read its header; returns where the first row starts."""
        self.path = _only_file(path, where)
        try:
            if self.path.stat().st_size == 0:
                raise UserError("the file is empty", where=self.path, mend="a header line and one line an item")
            with self.path.open("rb") as stream:
                self._bytes = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise UserError(
                f"the file cannot be read: {error.strerror}", where=self.path, mend="check its permissions"
            ) from None
        start = len(_BOM) if self._bytes[:3] == _BOM else 0
        end = self._end_of_line(start)
        try:
            self.columns = _decode(self._bytes[start:end]).split("\t")
        except Unusable as reason:
            raise UserError(f"the header: {reason}", where=f"{self.path}:1", mend="save the file as UTF-8") from None
        doubled = next((name for name in self.columns if self.columns.count(name) > 1), None)
        if doubled is not None:
            where = f"{self.path}:1"
            raise UserError(f"the column {doubled!r} stands twice in the header", where=where, mend="rename one")
        return end + 1

    def _index(self, id_columns: tuple[str, ...], text_column: str, start: int) -> None:
        self._ids = [self.columns.index(name) for name in id_columns]
        self._text = self.columns.index(text_column)
        self._starts: list[int] = []
        self._lines: list[int] = []
        self._marks: list[bytes] = []
        ids: list[str] = []
        line_of: dict[str, int] = {}
        broken: list[tuple[str | None, int, int, str]] = []
        notes: list[Note] = []
        line, size = 1, len(self._bytes)
        while start < size:
            line += 1
            end = self._end_of_line(start)
            if end > start and self._bytes[start:end] != b"\r":
                try:
                    fields = self._fields(start, end)
                    item = self._identify(fields)
                except Unusable as reason:
                    broken.append((self._salvage(start, end), start, line, str(reason)))
                else:
                    if item in line_of:
                        reason_ = f"the item stands on line {line_of[item]} already, whose text was taken"
                        notes.append(Note(item, f"{self.path}:{line}", reason_))
                    else:
                        self._add(ids, line_of, item, start, line, fields[self._text].encode())
            start = end + 1
        for salvaged, start, line, why in broken:
            if salvaged is None or salvaged in line_of:
                notes.append(Note(salvaged or "", f"{self.path}:{line}", why))
            else:
                self._add(ids, line_of, salvaged, start, line, self._bytes[start : self._end_of_line(start)])
        if not ids:
            mend = f"{notes[0].file}: {notes[0].reason}" if notes else "add a line for each item"
            raise UserError("the file has a header and no item", where=self.path, mend=mend)
        if notes:
            first = f"{notes[0].file}: {notes[0].reason}"
            logger.warning("{} lines of {} left out; the first, {}", len(notes), self.path, first)
        self.left_out = notes
        self.ids: Sequence[str] = ids

    def _add(self, ids: list[str], line_of: dict[str, int], item: str, start: int, line: int, content: bytes) -> None:
        line_of[item] = line
        ids.append(item)
        self._starts.append(start)
        self._lines.append(line)
        self._marks.append(hashlib.sha256(content).digest()[:12])

    def _identify(self, fields: Sequence[str]) -> str:
        if not fields[self._ids[0]]:
            raise Unusable("the item id is empty")
        return fields[self._ids[0]]

    def _salvage(self, start: int, end: int) -> str | None:
        """The id of a broken line, where it can be told: id columns that come first, in whole fields."""
        count = len(self._ids)
        fields = self._bytes[start:end].split(b"\t")[:count]
        if sorted(self._ids) != list(range(count)) or len(fields) < count:
            return None
        try:
            return self._identify([_decode(field) for field in fields])
        except Unusable:
            return None

    def _end_of_line(self, start: int) -> int:
        end = self._bytes.find(b"\n", start)
        return len(self._bytes) if end < 0 else end

    def _fields(self, start: int, end: int) -> list[str]:
        fields = _decode(self._bytes[start:end]).split("\t")
        if len(fields) != len(self.columns):
            raise Unusable(
                f"{len(fields)} fields where the header has {len(self.columns)} "
                "(a tab or a line break within a text? quotation marks do not protect them)"
            )
        return fields


class InteractionFile(TextFile):
    """The texts of user-item pairs (reviews), in the order of their TSV file; ids are `<user>__<item>`.

    Parameters
    ----------
    interaction_columns : header names of the user ids and of the item ids.

    Raises
    ------
    UserError : as `TextFile`.
    """

    noun, plural = "text", "texts"

    def __init__(self, path: Path, interaction_columns: tuple[str, str], text_column: str, where: str) -> None:
        start = self._open(path, where)
        for name in (*interaction_columns, text_column):
            _check_column(name, self.columns, self.path, where)
        if len({*interaction_columns, text_column}) < 3:
            raise UserError("users, items and texts need a column each", where=where, mend="mend `interaction_columns`")
        self._index(interaction_columns, text_column, start)

    def _identify(self, fields: Sequence[str]) -> str:
        user, item = (fields[column] for column in self._ids)
        if not user or not item:
            raise Unusable("the user id or the item id is empty")
        return pair_id(user, item)


def _decode(line: bytes) -> str:
    try:
        text = line.decode("utf-8").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise Unusable(f"not UTF-8: {error.reason} at byte {error.start} of the line") from None
    if "\0" in text:
        raise Unusable(f"a NUL at character {text.index(chr(0))} of the line")
    return text


def _only_file(path: Path, where: str) -> Path:
    if path.is_dir():
        inside = sorted(entry for entry in path.iterdir() if entry.is_file() and not entry.name.startswith("."))
        if len(inside) == 1:
            return inside[0]
        raise UserError(f"{path} is a folder with {len(inside)} files", where=where, mend="name the TSV file itself")
    if not path.is_file():
        raise no_such_path(path, where, "TSV file")
    return path


def _check_column(name: str, columns: Sequence[str], path: Path, where: str) -> None:
    if name not in columns:
        listed = ", ".join(columns)
        raise UserError(f"{path} has no column {name!r}; it has: {listed}", where=where, mend=nearest(name, columns))


def _choose(columns: Sequence[str], item: str | None, text: str | None, path: Path, where: str) -> tuple[str, str]:
    for name in (item, text):
        if name is not None:
            _check_column(name, columns, path, where)
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
