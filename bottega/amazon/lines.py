"""The lines of a dump, one object each: plain or gzipped, JSON or (in 2014) Python literals, streamed."""

from __future__ import annotations

import ast
import contextlib
import gzip
import io
import json
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar

from workbench.console import progress
from workbench.errors import UserError

LONGEST_LINE = 16 << 20
LONGEST_LITERAL = 1 << 20  # bytes; a Python literal costs the parser a hundred times its length in memory
_JUDGED_AFTER = 1000  # lines, before a file may be refused without having been read to its end

Parsed = TypeVar("Parsed")


class BadLine(Exception):
    """One line cannot be used; the message is the reason. It is listed, the rest is read."""


class Numbered(NamedTuple):
    """A record's line in its file, from 1, and the record."""

    line: int
    values: dict[str, Any]


class Quarantine:
    """The list of lines that could not be used, written as they come: file, line, reason."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self.counts: dict[str, int] = {}
        stream.write("file\tline\treason\n")

    def add(self, path: Path, line: int, reason: str) -> None:
        """List one line."""
        self._stream.write(f"{path.name}\t{line}\t{' '.join(reason.split())}\n")
        self.counts[path.name] = self.counts.get(path.name, 0) + 1


def read_dump(path: Path, parse: Callable[[Numbered], Parsed], quarantine: Quarantine) -> Iterator[Parsed]:
    """What `parse` makes of every line; a line at which it raises `BadLine` goes to the quarantine.

    Memory holds one line. Blank lines are passed over.

    Raises
    ------
    UserError : no such file, a damaged archive, no usable line, or more bad lines than good ones.
    """
    good = bad = 0
    first = ""
    for line, content in _lines(path):
        try:
            parsed = parse(Numbered(line, _record(content)))
        except BadLine as reason:
            quarantine.add(path, line, str(reason))
            first = first or f"line {line}: {reason}"
            bad += 1
        else:
            good += 1
            yield parsed
        if bad > good and good + bad >= _JUDGED_AFTER:
            break
    if not good and not bad:
        raise UserError("the file holds no records", where=path, mend="download it again")
    if bad > good:
        raise UserError(
            f"{bad:,} of the first {good + bad:,} lines cannot be used; the first, {first}",
            where=path,
            mend="give a dump in JSON lines, and --reviews and --meta of the same year and category",
        )


def first_records(path: Path, count: int) -> list[dict[str, Any]]:
    """The records among the first `count` lines; what is no record is passed over."""
    records = []
    for line, content in _lines(path, show=False):
        with contextlib.suppress(BadLine):
            records.append(_record(content))
        if line >= count:
            break
    return records


def _record(content: bytes) -> dict[str, Any]:
    """One line as a mapping: JSON, else a Python literal (parsed, never evaluated)."""
    if len(content) > LONGEST_LINE:
        raise BadLine(f"longer than {LONGEST_LINE >> 20} MiB")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadLine(f"not UTF-8 text: {error.reason}") from None
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        record = _literal(text.strip(), str(error))
    if not isinstance(record, dict):
        raise BadLine(f"a {type(record).__name__} where an object with keys is expected")
    return record


def _literal(text: str, fault: str) -> Any:
    if not text.startswith("{'"):  # how the 2014 files write their keys
        raise BadLine(f"not JSON: {fault}")
    if len(text) > LONGEST_LITERAL:
        raise BadLine(f"a Python literal longer than {LONGEST_LITERAL >> 20} MiB")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `\d` in a description
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise BadLine(f"neither JSON nor a Python literal: {type(error).__name__}") from None


def _lines(path: Path, show: bool = True) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of every line that is not blank; an overlong one is cut just past the limit."""
    if not path.is_file():
        raise UserError("no such file", where=path, mend="download the dump and give its path")
    number = 0
    try:
        with path.open("rb") as raw, progress(path.stat().st_size, path.name, "B", show) as bar:
            zipped = raw.peek(2)[:2] == b"\x1f\x8b"
            stream = io.BufferedReader(gzip.GzipFile(fileobj=raw), 1 << 20) if zipped else raw
            while content := stream.readline(LONGEST_LINE + 1):
                number += 1
                rest = content
                while len(rest) > LONGEST_LINE and not rest.endswith(b"\n"):
                    rest = stream.readline(LONGEST_LINE + 1)
                if not content.isspace():
                    yield number, content
                if number % 1000 == 0:
                    bar.update(raw.tell() - bar.n)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(
            f"the archive is damaged: {error}", where=f"{path}:{number + 1}", mend="download it again"
        ) from None
    except OSError as error:
        raise UserError(
            f"the file cannot be read: {error.strerror or error}", where=path, mend="check its permissions"
        ) from None
