"""Bytes in arrays, written and read as files: what Ray's object store holds without copies."""

from __future__ import annotations

import io

import numpy as np


class ArrayWriter(io.BytesIO):
    """A file in memory whose content can be had as an array."""

    def array(self) -> np.ndarray:
        """(N,) uint8, without a copy; the file cannot grow any more."""
        return np.frombuffer(self.getbuffer(), dtype=np.uint8)


class ArrayReader(io.RawIOBase):
    """An array (N,) uint8 as a file, read without a copy of the whole."""

    def __init__(self, array: np.ndarray) -> None:
        self._bytes, self._place = array.data, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        part = self._bytes[self._place : self._place + len(buffer)]
        buffer[: len(part)] = part
        self._place += len(part)
        return len(part)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: len(self._bytes)}[whence]
        self._place = max(start + offset, 0)
        return self._place

    def tell(self) -> int:
        return self._place
