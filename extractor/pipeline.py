"""Decode once -> prepare for every model -> batch -> forward once -> write every layer.

Workers read, decode and prepare; the main thread runs the backbones and writes. At most a batch of contents
is held ahead, so memory does not grow with the number of items.
"""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from extractor.backends.base import as_rows
from extractor.cleaning import clear_text
from extractor.jobs import Job, Table
from extractor.sources import Note, Source, Unusable
from workbench.console import progress
from workbench.errors import UserError
from workbench.features import TableWriter
from workbench.runtime import peak_memory_mb, versions

_MOST_WORKERS = 8


@dataclass
class Lane:
    """One model at work: its open tables and the items that wait for its next batch."""

    job: Job
    writers: list[tuple[Table, TableWriter]]
    decoding: threading.Event
    waiting: list[tuple[int, Any]] = field(default_factory=list)
    quarantined: dict[int, str] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    seconds: float = 0.0

    def prepare(self, content: Any) -> Any:
        """Model input for one item, or the `Unusable` that says why there is none."""
        try:
            if getattr(self.job.model, "clear_text", False):
                content = clear_text(content)
                if not content:
                    raise Unusable("nothing is left of the text after clear_text")
            return self.job.encoder.prepare(content)
        except Unusable as reason:
            return reason

    def take(self, place: int, prepared: Any) -> None:
        """Queue one item; run the backbone when a chunk is full."""
        if isinstance(prepared, Unusable):
            self.quarantined[place] = str(prepared)
            return
        self.waiting.append((place, prepared))
        if len(self.waiting) >= self.job.encoder.chunk:
            self.flush()

    def flush(self) -> None:
        """Run the backbone on what waits and write its rows."""
        if not self.waiting:
            return
        begin = time.perf_counter()
        places = [place for place, _ in self.waiting]
        if self.job.encoder.fills_cpu:
            # a decoder that takes a core from one of the backbone's threads makes all of them wait for that one
            self.decoding.clear()
        try:
            outputs = self.job.encoder.encode([prepared for _, prepared in self.waiting])
        finally:
            self.decoding.set()
        for table, writer in self.writers:
            rows, self.shapes[str(table.path)] = as_rows(outputs[table.layer])
            writer.write(places, rows)
        self.waiting.clear()
        self.seconds += time.perf_counter() - begin


@dataclass(frozen=True)
class Outcome:
    """What one pass over a source gave."""

    quarantined: list[Note]
    seconds: float


def run_source(source: Source, jobs: list[Job], label: str, per_item: bool, show: bool) -> Outcome:
    """Extract the pending tables of some models in one pass over their source.

    Raises
    ------
    UserError : no item could be used, or writing failed; unfinished tables vanish, earlier ones stay.
    """
    for job in jobs:
        job.encoder.start([table.layer for table in job.pending])
    with ExitStack() as stack, warnings.catch_warnings():
        # such images are decoded or quarantined by our own rule
        warnings.filterwarnings("ignore", message=".*decompression bomb.*")
        decoding = threading.Event()
        decoding.set()
        lanes = [
            Lane(
                job,
                [(table, stack.enter_context(TableWriter(table.path, source.ids, per_item))) for table in job.pending],
                decoding,
            )
            for job in jobs
        ]
        for lane in lanes:
            if lane.job.encoder.needs_corpus:
                lane.job.encoder.fit(_corpus(source, lane))
        begin = time.perf_counter()
        broken = _pass(source, lanes, decoding, label, show)
        seconds = time.perf_counter() - begin
        notes = _notes(source, broken, lanes)
        for lane in lanes:
            _commit(source, lane, broken, seconds)
    return Outcome(notes, seconds)


def _pass(source: Source, lanes: list[Lane], decoding: threading.Event, label: str, show: bool) -> dict[int, str]:
    """One pass over the items; returns place -> reason of those that could not be read."""
    broken: dict[int, str] = {}
    with progress(len(source), label, "item", show) as bar:
        for place, found in _decoded(source, lanes, decoding):
            if isinstance(found, Unusable):
                broken[place] = str(found)
            else:
                for lane, prepared in zip(lanes, found, strict=True):
                    lane.take(place, prepared)
            bar.update()
        for lane in lanes:
            lane.flush()
    return broken


def _decoded(source: Source, lanes: list[Lane], decoding: threading.Event) -> Iterator[tuple[int, Any]]:
    """Every (place, prepared contents) in order; at most the largest batch is decoded ahead."""

    def work(place: int) -> list[Any] | Unusable:
        decoding.wait()
        try:
            content = source.read(place)
        except Unusable as reason:
            return reason
        return [lane.prepare(content) for lane in lanes]

    workers = min(_MOST_WORKERS, os.cpu_count() or 1)
    ahead = max(lane.job.encoder.chunk for lane in lanes) + workers
    queue: deque[tuple[int, Future[Any]]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    try:
        for place in range(len(source)):
            queue.append((place, pool.submit(work, place)))
            if len(queue) >= ahead:
                first, future = queue.popleft()
                yield first, future.result()
        while queue:
            first, future = queue.popleft()
            yield first, future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _corpus(source: Source, lane: Lane) -> Iterator[Any]:
    """Every usable content of the source, prepared for one model."""
    usable = 0
    for place in range(len(source)):
        try:
            prepared = lane.prepare(source.read(place))
        except Unusable:
            continue
        if not isinstance(prepared, Unusable):
            usable += 1
            yield prepared
    if not usable:
        raise _nothing_left(source, f"none of {len(source)} texts can be used")


def _notes(source: Source, broken: dict[int, str], lanes: list[Lane]) -> list[Note]:
    reasons = dict(broken)
    for lane in lanes:
        for place, reason in lane.quarantined.items():
            reasons.setdefault(place, f"{lane.job.model.model_name}: {reason}")
    return [Note(source.ids[place], source.file(place), reason) for place, reason in sorted(reasons.items())]


def _commit(source: Source, lane: Lane, broken: dict[int, str], seconds: float) -> None:
    reasons = dict(sorted({**broken, **lane.quarantined}.items()))
    if len(reasons) == len(source):
        place, reason = next(iter(reasons.items()))
        raise _nothing_left(
            source, f"none of {len(source)} items can be used; the first, {source.file(place)}: {reason}"
        )
    encoder = lane.job.encoder
    for table, writer in lane.writers:
        writer.commit(
            {
                "recipe": table.recipe,
                "fingerprint": table.fingerprint,
                "content": source.content,
                "source": str(source.path),
                "backbone": encoder.describe(),
                "shape": list(lane.shapes[str(table.path)]),
                "versions": versions("bottega", *encoder.packages),
                "quarantined": [{"item": source.ids[place], "reason": why} for place, why in reasons.items()],
                "run": {
                    "batch_size": lane.job.model.batch_size,
                    "seconds": round(seconds, 3),
                    "backbone_seconds": round(lane.seconds, 3),
                    "peak_memory_mb": round(peak_memory_mb()),
                },
            }
        )


def _nothing_left(source: Source, what: str) -> UserError:
    return UserError(what, where=source.path, mend="check input_path and the files there")
