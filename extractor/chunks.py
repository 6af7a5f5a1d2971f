"""Distinct contents in chunks: the unit that is computed, kept when a run is killed, and shared out among shards.

A chunk is a function of the order of the items and of their contents alone, never of what happened to be finished:
a backbone's values depend in their last bits on what else is in the batch, so a run that goes on where another one
stopped computes the same chunks, and the same bytes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from extractor.sources import Source
from workbench.errors import UserError

_BLOCK = 4096  # items whose contents are hashed between two looks at the results


@dataclass(frozen=True)
class Contents:
    """The distinct contents of a source.

    Attributes
    ----------
    digests : of every place.
    first : the place where each distinct content comes first, ascending.
    twins : such a place -> the later places with the same content; absent where there are none.
    """

    digests: Sequence[bytes]
    first: Sequence[int]
    twins: Mapping[int, Sequence[int]]

    def places(self, first: int) -> list[int]:
        """Every place with the content that comes first at `first`."""
        return [first, *self.twins.get(first, ())]


@dataclass(frozen=True)
class Chunk:
    """Distinct contents that are encoded together; `key` hashes them in their order."""

    key: str
    places: tuple[int, ...]


@dataclass(frozen=True)
class Shard:
    """Number `index`, from 1, of `count` processes that share the work."""

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read `2/8`.

        Raises
        ------
        UserError : anything else.
        """
        index, slash, count = text.partition("/")
        if not (slash and index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
            raise UserError(f"`--shard {text}` is no share", mend="write `--shard i/n`, from `1/n` to `n/n`")
        return cls(int(index), int(count))


def find_contents(source: Source) -> Contents:
    """Hash the content of every item, without decoding it."""
    digests: list[bytes] = []
    with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="hash") as pool:
        for start in range(0, len(source), _BLOCK):
            digests.extend(pool.map(source.digest, range(start, min(start + _BLOCK, len(source)))))
    first: dict[bytes, int] = {}
    twins: dict[int, list[int]] = {}
    for place, digest in enumerate(digests):
        if digest in first:
            twins.setdefault(first[digest], []).append(place)
        else:
            first[digest] = place
    return Contents(digests, list(first.values()), twins)


def chunks_of(contents: Contents, size: int) -> list[Chunk]:
    """The distinct contents in chunks of `size`, in the order of the items."""
    chunks = []
    for start in range(0, len(contents.first), size):
        places = tuple(contents.first[start : start + size])
        joined = b"".join(contents.digests[place] for place in places)
        chunks.append(Chunk(hashlib.sha256(joined).hexdigest()[:20], places))
    return chunks


def share_of(chunks: Sequence[Chunk], shard: Shard | None) -> Sequence[Chunk]:
    """The contiguous share of one shard; shares differ by one chunk at most. None: all of them."""
    if shard is None:
        return chunks
    return chunks[(shard.index - 1) * len(chunks) // shard.count : shard.index * len(chunks) // shard.count]
