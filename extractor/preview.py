"""`--plan`: what an extraction would do, what it takes on the disk, and how long; nothing is written.

A few items of each model with something to do are read, prepared and encoded; the rest is multiplication.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from extractor.backends.base import as_rows
from extractor.chunks import find_contents
from extractor.jobs import Job, SourceJobs, Table
from extractor.layers import Layer
from extractor.partial import work_folder
from extractor.pipeline import WORKERS, encode, prepare, start
from extractor.sources import Source, Unusable
from workbench.console import table as text_table

_PROBED = 8  # items encoded, after as many that warm the backbone up
_HEADER, _BLOCK = 128, 4096  # bytes: of a .npy file, and what the smallest file takes on most disks


@dataclass(frozen=True)
class Probe:
    """What a few items told: values by layer, and seconds an item to prepare (on one core) and to encode."""

    dims: dict[Layer, int]
    prepare: float
    encode: float


def preview(plans: Sequence[SourceJobs], per_item: bool) -> str:
    """The plan as a table, with the sums below it."""
    rows: list[tuple[Any, ...]] = []
    total_bytes, total_seconds = 0, 0.0
    for work in plans:
        busy = [job for job in work.jobs if job.pending]
        distinct = len(find_contents(work.source).first) if busy else len(work.source)
        for job in work.jobs:
            probe = _probe(work, job) if job.pending else Probe({}, 0.0, 0.0)
            seconds = distinct * (probe.prepare / WORKERS + probe.encode)
            total_seconds += seconds if job.pending else 0.0
            for table in job.tables:
                if table.reason is None:
                    rows.append((*_names(work, job, table), len(work.source), "-", "-", "-", "nothing changed"))
                    continue
                dim = probe.dims.get(table.layer, 0)
                size = len(work.source) * _bytes_of(dim, per_item)
                total_bytes += size
                begun = "; goes on where it was stopped" if work_folder(table.path).is_dir() else ""
                counts = len(work.source) if distinct == len(work.source) else f"{len(work.source)} ({distinct})"
                rows.append((*_names(work, job, table), counts, dim, _size(size), _time(seconds), table.reason + begun))
    headers = ("modality", "backend", "model", "layer", "items", "dim", "disk", "time of the model", "why")
    lines = [text_table(headers, rows, left=("backend", "model", "layer", "why"))]
    lines.append(
        f"about {_time(total_seconds)} from a probe of {_PROBED} items each, {_size(total_bytes)} on the disk "
        f"and half of that again while it runs; nothing was written"
        if total_bytes
        else "nothing to do"
    )
    return "\n".join(lines)


def _probe(work: SourceJobs, job: Job) -> Probe:
    """Load the backbone and time it on items spread over the source."""
    start(job, work.source)
    begin = time.perf_counter()
    prepared = _some(work.source, job, 2 * _PROBED)
    each = (time.perf_counter() - begin) / min(2 * _PROBED, len(work.source))
    if not prepared:
        return Probe({}, each, 0.0)
    size = max(1, min(_PROBED, len(prepared) // 2))
    outputs = encode(job, job.encoder.stage(prepared[:size]))  # the first is slower
    begin = time.perf_counter()
    encode(job, job.encoder.stage(prepared[-size:]))
    seconds = (time.perf_counter() - begin) / size
    return Probe({table.layer: as_rows(outputs[table.layer])[0].shape[1] for table in job.pending}, each, seconds)


def _some(source: Source, job: Job, count: int) -> list[Any]:
    """Up to `count` items, evenly spread, prepared; the unusable ones are left out."""
    step = max(1, len(source) // count)
    found: list[Any] = []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*decompression bomb.*")
        for place in range(0, len(source), step):
            if len(found) == count:
                break
            try:
                prepared = prepare(job, source.read(place))
            except Unusable:
                continue
            if not isinstance(prepared, Unusable):
                found.append(prepared)
    return found


def _names(work: SourceJobs, job: Job, table: Table) -> tuple[str, str, str, str]:
    return work.modality, job.model.backend, job.model.model_name, table.layer.name


def _bytes_of(dim: int, per_item: bool) -> int:
    """Of one item: its row of the matrix, and its file."""
    row = 4 * dim
    return row + (-(-(_HEADER + row) // _BLOCK) * _BLOCK if per_item else 0)


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
