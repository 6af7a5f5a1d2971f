"""From chunks to tables: take up what is already there, and put a table together once all of it is."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from extractor.chunks import Chunk, Contents
from extractor.costs import sum_up
from extractor.jobs import Job, SourceJobs, Table
from extractor.partial import Partial, Reason
from extractor.sources import Note, Source
from workbench.errors import UserError
from workbench.features import TableWriter, matrix_path, read_manifest
from workbench.files import sha256_file
from workbench.runtime import versions


@dataclass(frozen=True)
class Unfinished:
    """A table of which all chunks may be there, and what its manifest needs to say about the run."""

    source: Source
    contents: Contents
    job: Job
    table: Table
    partial: Partial
    chunks: Sequence[Chunk]

    def reasons(self) -> dict[int, Reason]:
        """Place -> why that item has no row, as far as is known."""
        found: dict[int, Reason] = {}
        for chunk in self.chunks:
            entry = self.partial.done.get(chunk.key)
            for position, reason in entry.unusable.items() if entry else ():
                found |= dict.fromkeys(self.contents.places(chunk.places[position]), reason)
        return dict(sorted(found.items()))

    def is_whole(self) -> bool:
        """Whether every chunk is there, the other shards' too."""
        if any(chunk.key not in self.partial.done for chunk in self.chunks):
            self.partial.refresh()
        return all(chunk.key in self.partial.done for chunk in self.chunks)


def take_up(table: Table, partial: Partial, chunks: Sequence[Chunk], ids: Sequence[str]) -> int:
    """Keep those chunks of the finished table that would be computed again to the same bytes; returns their number.

    They are the ones with the same contents in the same order: only chunks in which something changed are computed.
    """
    try:
        manifest = read_manifest(table.path)
    except UserError:
        return 0
    kept = (manifest or {}).get("chunks")
    wanted = {chunk.key: chunk for chunk in chunks if chunk.key not in partial.done}
    if manifest is None or not kept or kept["key"] != table.key or not wanted:
        return 0
    matrix = _intact_matrix(table.path, manifest)
    if matrix is None:
        return 0
    own = np.delete(np.arange(len(matrix)), np.asarray(kept["twins"], dtype=np.int64))
    start = count = 0
    for key, size, unusable in kept["done"]:
        if key in wanted:
            chunk, rows = wanted[key], matrix[own[start : start + size]]
            reasons = {int(position): Reason(*reason) for position, reason in unusable.items()}
            names = [ids[place] for position, place in enumerate(chunk.places) if position not in reasons]
            shape = tuple(manifest["shape"]) if size else ()
            partial.append(chunk, names, rows, shape, reasons, 0.0, lambda: dict(manifest["backbone"]))
            count += 1
        start += size
    return count


def put_together(unfinished: Unfinished, per_item: bool, computed: int, begin: float) -> None:
    """Write the table from its chunks; an earlier one stays until the new one is whole.

    The manifest is a function of the configuration and the content, `run` aside.

    Raises
    ------
    UserError : no item has a row, a chunk is damaged, or the disk is full.
    """
    source, table, partial = unfinished.source, unfinished.table, unfinished.partial
    reasons = unfinished.reasons()
    if len(reasons) == len(source):
        place, reason = next(iter(reasons.items()))
        raise UserError(
            f"none of {len(source)} items can be used; the first, {source.file(place)}: {reason.text}",
            where=source.path,
            mend="check input_path and the files there",
        )
    own: set[int] = set()
    with TableWriter(table.path, source.ids, per_item, work=partial.folder / "together") as writer:
        for places, rows in _rows(unfinished):
            pairs = [(place, row) for row, first in enumerate(places) for place in unfinished.contents.places(first)]
            writer.write([place for place, _ in pairs], rows[[row for _, row in pairs]])
            own.update(places)
        entries = [partial.done[chunk.key] for chunk in unfinished.chunks]
        usable = [place for place in range(len(source)) if place not in reasons]
        writer.commit(
            {
                "recipe": table.recipe,
                "fingerprint": table.fingerprint,
                "content": source.content,
                "distinct_contents": len(unfinished.contents.first),
                "source": str(source.path),
                "backbone": partial.backbone or {},
                "shape": list(next(entry.shape for entry in entries if entry.rows)),
                "versions": versions("bottega", *unfinished.job.encoder.packages),
                "quarantined": [
                    {"item": source.ids[place], "reason": reason.text, "by_model": reason.by_model}
                    for place, reason in reasons.items()
                ],
                "chunks": {
                    "key": table.key,
                    "twins": [row for row, place in enumerate(usable) if place not in own],
                    "done": [
                        [entry.key, entry.rows, {at: [why.text, why.by_model] for at, why in entry.unusable.items()}]
                        for entry in entries
                    ],
                },
                "run": {
                    "batch_size": unfinished.job.model.batch_size,
                    "computed_now": computed,
                    "seconds": round(time.perf_counter() - begin, 3),
                    "backbone_seconds": round(sum(entry.seconds for entry in entries), 3),
                    "cost": sum_up(partial.spent, partial.backbone or {}),
                },
            }
        )
    partial.remove()


def notes_of(work: SourceJobs) -> list[Note]:
    """What any model of a source could not use, as the manifests of its finished tables have it."""
    reasons: dict[str, str] = {}
    by_model: dict[str, str] = {}
    for job in work.jobs:
        for table in job.tables:
            for line in _quarantined(table):
                if line.get("by_model"):
                    by_model.setdefault(line["item"], f"{job.model.model_name}: {line['reason']}")
                else:
                    reasons.setdefault(line["item"], line["reason"])
    found = by_model | reasons
    places = (place for place, item in enumerate(work.source.ids) if item in found)
    return [Note(work.source.ids[place], work.source.file(place), found[work.source.ids[place]]) for place in places]


def _rows(unfinished: Unfinished) -> Iterator[tuple[list[int], np.ndarray]]:
    for chunk in unfinished.chunks:
        entry, rows = unfinished.partial.done[chunk.key], unfinished.partial.rows(chunk.key)
        if rows is None:
            raise UserError(
                "a part of what was kept is damaged",
                where=unfinished.partial.folder,
                mend="run the same command again; that part is then computed anew",
            )
        if len(rows):
            yield entry.usable(chunk.places), rows


def _intact_matrix(path: Path, manifest: dict[str, Any]) -> np.ndarray | None:
    try:
        if sha256_file(matrix_path(path)) != manifest["matrix_sha256"]:
            return None
        matrix: np.ndarray = np.load(matrix_path(path), mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError):
        return None
    return matrix


def _quarantined(table: Table) -> list[dict[str, Any]]:
    try:
        manifest = read_manifest(table.path)
    except UserError:
        return []
    return list((manifest or {}).get("quarantined", []))
