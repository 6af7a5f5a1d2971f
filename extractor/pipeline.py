"""Decode once -> prepare for every model -> chunk -> forward once -> keep the rows of every layer.

Workers read, decode and prepare; the main thread runs the backbones. At most two chunks of contents are held, so
memory does not grow with the number of items. What is kept is put together to tables by `extractor.assembly`.
"""

from __future__ import annotations

import heapq
import os
import threading
import time
import warnings
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np

from extractor.backends.base import as_rows, device_of
from extractor.chunks import Chunk, Contents
from extractor.cleaning import clear_text
from extractor.config import ModelSettings
from extractor.costs import Account
from extractor.jobs import Job, Table
from extractor.layers import Layer
from extractor.partial import Entry, Partial, Reason
from extractor.sources import Source, Unusable
from workbench.console import progress
from workbench.errors import UserError

_MOST_WORKERS = 8
WORKERS = min(_MOST_WORKERS, os.cpu_count() or 1)


@dataclass
class Losses:
    """Items that gave no row to one model: first place of their content -> reason."""

    contents: Contents
    allowed: int
    reasons: dict[int, Reason] = field(default_factory=dict)
    items: int = 0

    def add(self, place: int, reason: Reason) -> None:
        """Count every item with this content.

        Raises
        ------
        TooManyLost : it is one more than may be.
        """
        self.reasons[place] = reason
        self.items += len(self.contents.places(place))
        if self.items > self.allowed:
            raise TooManyLost


class TooManyLost(Exception):
    """More items are unusable than `max_quarantined` allows."""


@dataclass
class _Batch:
    """A chunk on its way: the contents that could be prepared, and why others could not."""

    chunk: Chunk
    places: list[int] = field(default_factory=list)
    prepared: list[Any] = field(default_factory=list)
    unusable: dict[int, Reason] = field(default_factory=dict)
    seen: int = 0


@dataclass
class Lane:
    """One model at work: the chunks of its share, and its unfinished tables.

    Attributes
    ----------
    chunks : of the whole source, in order.
    todo : those that this process has still to compute.
    account : what it takes.
    """

    job: Job
    source: Source
    partials: list[tuple[Table, Partial]]
    chunks: Sequence[Chunk]
    todo: deque[Chunk]
    losses: Losses
    account: Account
    computed: int = 0
    _batch: _Batch | None = None
    _ahead: tuple[_Batch, Future[Any]] | None = None

    def take(self, place: int, found: Any, readable: bool, crew: Crew) -> None:
        """Add one content, the next of the chunk in hand; run the backbone when the chunk is full."""
        self._batch = batch = self._batch or _Batch(self.todo.popleft())
        if isinstance(found, Unusable):
            batch.unusable[batch.seen] = reason = Reason(str(found), by_model=readable)
            self.losses.add(place, reason)
        else:
            batch.places.append(place)
            batch.prepared.append(found)
        batch.seen += 1
        if batch.seen == len(batch.chunk.places):
            self._batch = None
            self._launch(batch, crew)

    def finish(self, crew: Crew) -> None:
        """Compute the chunk that is still staged."""
        if self._ahead is not None:
            batch, staged = self._ahead
            self._ahead = None
            self._compute(batch, staged.result(), crew)

    def _launch(self, batch: _Batch, crew: Crew) -> None:
        """On a CPU compute at once; on a GPU stage the chunk there while the one before it is computed."""
        if self.job.encoder.fills_cpu:
            self._compute(batch, self.job.encoder.stage(batch.prepared) if batch.prepared else None, crew)
            return
        staged = crew.stager.submit(self.job.encoder.stage, batch.prepared)
        self.finish(crew)
        self._ahead = (batch, staged)

    def _compute(self, batch: _Batch, staged: Any, crew: Crew) -> None:
        begin = time.perf_counter()
        outputs = None
        if batch.prepared:
            if self.job.encoder.fills_cpu:
                # a decoder that takes a core from one of the backbone's threads makes all of them wait for that one
                crew.decoding.clear()
            try:
                outputs = encode(self.job, staged)
            finally:
                crew.decoding.set()
        seconds = time.perf_counter() - begin
        spent = self.account.book(seconds, len(batch.chunk.places))
        ids = [self.source.ids[place] for place in batch.places]
        for table, partial in self.partials:
            if batch.chunk.key not in partial.done:
                rows, shape = (None, ()) if outputs is None else as_rows(outputs[table.layer])
                describe = self.job.encoder.describe
                partial.append(batch.chunk, ids, rows, shape, batch.unusable, seconds, describe, spent)
        self.computed += len(batch.chunk.places)


@dataclass(frozen=True)
class Crew:
    """The threads beside the main one; decoders pause while `decoding` is not set."""

    decoding: threading.Event
    stager: ThreadPoolExecutor


def start(job: Job, source: Source) -> None:
    """Load a backbone for its pending layers, and show it the corpus where it asks for that.

    Raises
    ------
    UserError : an unknown layer, weights that do not fit, no usable text in the corpus.
    """
    job.encoder.start([table.layer for table in job.pending])
    if job.model.compile:
        for network in job.encoder.networks():
            network.compile(dynamic=True)
    if job.encoder.needs_corpus:
        job.encoder.fit(_corpus(job, source))


def prepare(job: Job, content: Any) -> Any:
    """Model input for one item, or the `Unusable` that says why there is none."""
    try:
        if getattr(job.model, "clear_text", False):
            content = clear_text(content)
            if not content:
                raise Unusable("nothing is left of the text after clear_text")
        return job.encoder.prepare(content)
    except Unusable as reason:
        return reason


def encode(job: Job, staged: Any) -> Mapping[Layer, np.ndarray]:
    """One forward pass in the precision of the model's block."""
    with _precision(job.model, job.encoder.around.gpu):
        return job.encoder.encode(staged)


def run_pass(source: Source, lanes: Sequence[Lane], label: str, show: bool) -> None:
    """Compute what is to be done of every lane, reading and decoding each content once.

    Raises
    ------
    TooManyLost : one lane has lost more items than it may.
    UserError : a backbone gave no usable values, or the disk is full; finished chunks stay.
    """
    total = sum(1 for _ in _wanted(lanes))
    with ExitStack() as stack, warnings.catch_warnings():
        # such images are decoded or quarantined by our own rule
        warnings.filterwarnings("ignore", message=".*decompression bomb.*")
        crew = Crew(threading.Event(), stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="stage")))
        crew.decoding.set()
        bar = stack.enter_context(progress(total, label, "item", show))
        for place, wanting, found in _decoded(source, lanes, crew):
            for position, lane in enumerate(wanting):
                readable = not isinstance(found, Unusable)
                lane.take(place, found[position] if readable else found, readable, crew)
            bar.update()
        for lane in lanes:
            lane.finish(crew)


def _decoded(source: Source, lanes: Sequence[Lane], crew: Crew) -> Iterator[tuple[int, list[Lane], Any]]:
    """Every (place, lanes that want it, what they prepared from it) in order; little is decoded ahead."""

    def work(place: int, wanting: list[Lane]) -> list[Any] | Unusable:
        crew.decoding.wait()
        try:
            content = source.read(place)
        except Unusable as reason:
            return reason
        return [prepare(lane.job, content) for lane in wanting]

    ahead = max(lane.job.encoder.chunk for lane in lanes) + WORKERS
    queue: deque[tuple[int, list[Lane], Future[Any]]] = deque()
    pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="decode")
    try:
        for place, wanting in _wanted(lanes):
            queue.append((place, wanting, pool.submit(work, place, wanting)))
            if len(queue) >= ahead:
                first, lanes_then, future = queue.popleft()
                yield first, lanes_then, future.result()
        while queue:
            first, lanes_then, future = queue.popleft()
            yield first, lanes_then, future.result()
    finally:
        crew.decoding.set()
        pool.shutdown(wait=True, cancel_futures=True)


def _wanted(lanes: Sequence[Lane]) -> Iterator[tuple[int, list[Lane]]]:
    """The places that are to be read, ascending, each with the lanes that have it in a chunk to compute."""

    def of(number: int) -> Iterator[tuple[int, int]]:
        return ((place, number) for chunk in list(lanes[number].todo) for place in chunk.places)

    merged = heapq.merge(*(of(number) for number in range(len(lanes))))
    for place, pairs in groupby(merged, key=itemgetter(0)):
        yield place, [lanes[number] for _, number in pairs]


def _corpus(job: Job, source: Source) -> Iterator[Any]:
    """Every usable content of the source, prepared for one model."""
    usable = 0
    for place in range(len(source)):
        try:
            prepared = prepare(job, source.read(place))
        except Unusable:
            continue
        if not isinstance(prepared, Unusable):
            usable += 1
            yield prepared
    if not usable:
        raise UserError(
            f"none of {len(source)} texts can be used",
            where=source.path,
            mend="check input_path and the files there",
        )


def _precision(model: ModelSettings, gpu: int) -> AbstractContextManager[Any]:
    """Autocast for `precision: bf16` and `fp16`; sums and norms stay in fp32, and so do the rows."""
    if model.precision == "fp32":
        return nullcontext()
    import torch

    return torch.autocast(device_of(gpu).type, dtype={"bf16": torch.bfloat16, "fp16": torch.float16}[model.precision])


def known_losses(losses: Losses, chunks: Sequence[Chunk], done: dict[str, Entry]) -> None:
    """Count what an earlier process found unusable."""
    for chunk in chunks:
        if chunk.key in done:
            for position, reason in done[chunk.key].unusable.items():
                losses.add(chunk.places[position], reason)
