"""Both dumps read once, into a work folder: distinct reviews, and the products that were reviewed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from loguru import logger

from bottega.amazon.lines import Quarantine
from bottega.amazon.metadata import read_products
from bottega.amazon.reviews import Duplicates, Reviews, as_tsv, distinct, read_reviews
from bottega.amazon.years import find_year
from workbench.files import atomic_file, read_json, sha256_file, write_json

VERSION = 1
"""To be raised with any change that makes other staged files from the same dumps."""

_STAGE, _REVIEWS, _PRODUCTS = "stage.json", "reviews.tsv", "products.jsonl"


class Staged(NamedTuple):
    """What the dumps hold; contents are read from the work folder when they are needed."""

    folder: Path
    year: int
    sources: dict[str, dict[str, Any]]
    counts: dict[str, int]

    def reviews(self) -> Iterator[tuple[str, str, str]]:
        """User, item and line (as it is written) of every distinct review."""
        with (self.folder / _REVIEWS).open(encoding="utf-8", newline="\n") as stream:
            for line in stream:
                user, item, _ = line.split("\t", 2)
                yield user, item, line

    def products(self) -> Iterator[dict[str, Any]]:
        """The fields of `metadata.Product` of every reviewed item that has metadata."""
        with (self.folder / _PRODUCTS).open(encoding="utf-8", newline="\n") as stream:
            for line in stream:
                yield json.loads(line)


def stage(
    reviews: Path, meta: Path, folder: Path, quarantine: Path, said_year: int | None, duplicates: Duplicates
) -> Staged:
    """Read the dumps into `folder`, unless it holds them already; bad lines go to the file `quarantine`.

    Raises
    ------
    UserError : as `find_year`, `read_dump` and `distinct`.
    """
    paths = {"reviews": reviews, "meta": meta}
    recipe: dict[str, Any] = {"version": VERSION, "said_year": said_year, "duplicates": duplicates}
    recipe |= {name: _mark(path) for name, path in paths.items()}
    record = folder / _STAGE
    if record.is_file() and quarantine.is_file():
        known = read_json(record)
        if known.get("recipe") == recipe:
            logger.info("{} and {} were read before and are unchanged", reviews, meta)
            return Staged(folder, known["year"], known["sources"], known["counts"])
    record.unlink(missing_ok=True)
    year = find_year(reviews, meta, said_year)
    logger.info("{}: the collection of {}", reviews, year)
    with atomic_file(quarantine) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        listed = Quarantine(stream)
        found = read_reviews(reviews, year, listed)
        counts = _write_reviews(found, duplicates, folder / _REVIEWS)
        counts |= _write_products(meta, year, set(found.item_ids), listed, folder / _PRODUCTS)
    counts |= {"bad_lines": sum(listed.counts.values())}
    for path in paths.values():
        if listed.counts.get(path.name):
            logger.warning("{}: {:,} lines cannot be used, see {}", path, listed.counts[path.name], quarantine)
    sources = {
        name: {"file": path.name, "bytes": path.stat().st_size, "sha256": sha256_file(path)}
        for name, path in paths.items()
    }
    write_json(record, {"recipe": recipe, "year": year, "sources": sources, "counts": counts})
    return Staged(folder, year, sources, counts)


def _mark(path: Path) -> list[Any]:
    """What tells a file from another or an earlier one without reading it."""
    status = path.stat() if path.is_file() else None
    return [str(path.resolve()), status and status.st_size, status and status.st_mtime_ns]


def _write_reviews(found: Reviews, duplicates: Duplicates, path: Path) -> dict[str, int]:
    rows = np.flatnonzero(distinct(found, duplicates))
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(as_tsv(found, rows))
    return {
        "users": len(found.user_ids),
        "items": len(found.item_ids),
        "reviews_read": len(found),
        "reviews": len(rows),
    }


def _write_products(meta: Path, year: int, reviewed: set[str], listed: Quarantine, path: Path) -> dict[str, int]:
    """Of several records for one item the first is taken."""
    seen: set[str] = set()
    repeated = unreviewed = 0
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        for product in read_products(meta, year, listed):
            if product.item not in reviewed:
                unreviewed += 1
            elif product.item in seen:
                repeated += 1
            else:
                seen.add(product.item)
                stream.write(json.dumps(asdict(product), ensure_ascii=False) + "\n")
    return {"products": len(seen), "products_repeated": repeated, "products_never_reviewed": unreviewed}
