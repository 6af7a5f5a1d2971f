"""Opening text, plain or gzipped, and what is wrong with it as a sentence."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from workbench.errors import UserError

_LONGEST_FIRST_LINE = 1 << 24  # bytes; an adjacency list may hold a long line, a file without line ends is none


def plain_suffix(path: Path) -> str:
    """The suffix in lower case, that before `.gz` where there is one: `a.TSV.gz` -> `.tsv`."""
    name = path.name.lower()
    return Path(name.removesuffix(".gz")).suffix


def check_file(path: Path) -> None:
    """Refuse what is no file, and an empty one."""
    if not path.is_file():
        raise UserError("no such interaction file", where=path, mend="put a TSV there: user, item, rating, timestamp")
    if path.stat().st_size == 0:
        raise UserError("the file is empty", where=path, mend="put a row for each user and item there")


@contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, unpacked where it is gzipped (told by its first bytes, not by its name).

    Raises
    ------
    UserError : it cannot be opened, the archive is cut off or spoilt, or what is read as text is not UTF-8.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            with cast("IO[bytes]", gzip.open(raw)) if packed else raw as stream:
                yield stream
    except UnicodeDecodeError as error:
        where = f"{path}:{_first_undecodable(path)}"
        raise UserError(f"not UTF-8 text: {error.reason}", where=where, mend="save the file as UTF-8") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(f"not a whole gzip file: {error}", where=path, mend="fetch or pack it again") from error
    except OSError as error:
        raise UserError(f"cannot read: {error.strerror or error}", where=path, mend="check permissions") from error


def first_line(path: Path) -> str:
    """The first line without its end and without a byte order mark."""
    with open_bytes(path) as stream:
        line = stream.readline(_LONGEST_FIRST_LINE).decode("utf-8-sig")
    if "\0" in line:
        raise UserError("not text", where=f"{path}:1", mend="save it as UTF-8 text, or say `format:`")
    return line.rstrip("\r\n")


def line_of_record(path: Path, separator: str, record: int) -> int:
    """Line on which a record (from 0) of a quoted file begins: quoted fields may hold line ends."""
    with open_bytes(path) as stream:
        rows = csv.reader(io.TextIOWrapper(stream, "utf-8-sig", newline=""), delimiter=separator)
        begin = 1
        for number, _ in enumerate(rows):
            if number == record:
                break
            begin = rows.line_num + 1
    return begin


def _first_undecodable(path: Path) -> int:
    """Number of the first line that is not UTF-8."""
    with open_bytes(path) as stream:
        for number, line in enumerate(stream, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return 1
