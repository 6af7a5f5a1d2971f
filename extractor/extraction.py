"""The whole of an extraction: plan, run each source, list what was left out, print the table."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loguru import logger

from extractor.assembly import Unfinished, notes_of, put_together, take_up
from extractor.chunks import Contents, Shard, chunks_of, find_contents, share_of
from extractor.config import Config, load_config, weights_root_of
from extractor.costs import Ledger, cost_columns, cost_of
from extractor.executors import Request, run_shards
from extractor.jobs import Job, SourceJobs, plan, why
from extractor.partial import Partial, clear_away
from extractor.pipeline import Lane, Losses, TooManyLost, known_losses, run_pass, start
from extractor.preview import preview
from extractor.quarantine import allowed, write_quarantine
from extractor.sources import Note
from workbench.console import show as print_result
from workbench.console import table as text_table
from workbench.errors import UserError
from workbench.features import FeatureTable, open_table


@dataclass(frozen=True)
class Options:
    """How a source is run."""

    per_item: bool
    max_quarantined: float | None
    shard: Shard | None = None
    show: bool = False


def run_extraction(
    path: str | Path,
    overrides: Iterable[tuple[str, Any]] = (),
    weights_root: str | Path | None = None,
    shard: Shard | None = None,
    show: bool = False,
) -> list[FeatureTable]:
    """Extract what a configuration asks for; `show` prints the progress bar, the table and the next step.

    With a `shard`, its share of the chunks is computed; the tables that this completes are put together and given
    back, the others are left to the shards that are still at work.
    """
    overrides = list(overrides)
    config = load_config(path, overrides)
    root = weights_root_of(weights_root)
    plans = plan(config, root)
    options = Options(config.settings.per_item, config.settings.max_quarantined, shard, show)
    if shard is None and any(job.pending for work in plans for job in work.jobs):
        request = Request(str(path), tuple(overrides), None if root is None else str(root))
        if run_shards(config.settings, request):
            plans = plan(config, root)
    rates: dict[Path, str] = {}
    for work in plans:
        _run(work, options, rates)
    done = [table for work in plans for job in work.jobs for table in job.tables if table.reason is None]
    tables = {table.path: open_table(table.path) for table in done}
    if show:
        _show(config, plans, rates, tables)
    return list(tables.values())


def show_plan(
    path: str | Path, overrides: Iterable[tuple[str, Any]] = (), weights_root: str | Path | None = None
) -> None:
    """Print what an extraction would do, its disk and an estimate of its time; nothing is written."""
    config = load_config(path, overrides)
    print_result(preview(plan(config, weights_root_of(weights_root)), config.settings.per_item))


def _run(work: SourceJobs, options: Options, rates: dict[Path, str]) -> None:
    """Compute and put together what is missing of one source; finished tables lose their `reason`."""
    for job in work.jobs:
        for table in job.tables:
            logger.info("{}: {}", table.path, table.reason or "nothing changed, used again")
            if table.reason is None:
                clear_away(table.path)
    if not any(job.pending for job in work.jobs):
        _list_left_out(work)  # a process may have been killed between its last table and the list
        return
    begin = time.perf_counter()
    source = work.source
    contents = find_contents(source)
    if len(contents.first) < len(source):
        logger.info(
            "{} of {} {} contents are the same as another's: {} are extracted",
            len(source) - len(contents.first), len(source), work.modality, len(contents.first),
        )  # fmt: skip
    with ExitStack() as stack:
        ledger = _ledger(work, options)
        lanes = [lane for job in work.jobs for lane in _lanes(work, job, contents, options, ledger, stack)]
        busy = [lane for lane in lanes if lane.todo]
        unfinished = [
            Unfinished(source, contents, lane.job, table, partial, lane.chunks)
            for lane in lanes
            for table, partial in lane.partials
        ]
        try:
            for lane in lanes:
                known_losses(lane.losses, lane.chunks, _done_in_all(lane))
            loading = time.perf_counter()
            for lane in busy:
                with lane.account.loading:
                    start(lane.job, source)
            begin += time.perf_counter() - loading  # what is reported is the work on the items
            if busy:
                names = ", ".join(lane.job.model.model_name for lane in busy)
                with ledger:
                    run_pass(source, busy, f"{work.modality} ({names})", options.show)
                for lane in busy:
                    for _, partial in lane.partials:
                        partial.spend(lane.account.spent())
        except TooManyLost:
            raise _too_many(work, options, lanes) from None
        seconds = max(time.perf_counter() - begin, 1e-9)
        for lane in lanes:
            _finish(work, lane, [one for one in unfinished if one.job is lane.job], options, begin)
            for table, _ in lane.partials:
                rates[table.path] = f"{lane.computed / seconds:.1f}" if lane.computed else "put together"
    if any(table.reason is None for job in work.jobs for table in job.tables):
        _report(work, _list_left_out(work))


def _ledger(work: SourceJobs, options: Options) -> Ledger:
    """For what the pass takes; shards may run beside each other, where each would count the energy of all."""
    gpus = [job.encoder.around.gpu for job in work.jobs if "torch" in job.encoder.packages]
    return Ledger(max(gpus, default=-1), energy=options.shard is None)


def _lanes(
    work: SourceJobs, job: Job, contents: Contents, options: Options, ledger: Ledger, stack: ExitStack
) -> list[Lane]:
    """The lane of one job, its tables locked and what is there taken up; none where nothing is to be done."""
    partials = []
    for table in job.pending:
        partial = stack.enter_context(Partial(table.path, table.key, options.shard))
        table.reason = why(table, work.source, options.per_item)
        if table.reason is None:  # another process has finished it since the plan was made
            partial.remove()
            continue
        if partial.taken_over:
            logger.warning("{}: {}, has ended without finishing; going on from there", table.path, partial.taken_over)
        partials.append((table, partial))
    if not partials:
        return []
    chunks = chunks_of(contents, job.encoder.chunk)
    share = share_of(chunks, options.shard)
    for table, partial in partials:
        partial.check(share)
        found = sum(chunk.key in partial.done for chunk in share)
        again = take_up(table, partial, share, work.source.ids)
        if found:
            logger.info("{}: {} of {} chunks were there already", table.path, found, len(share))
        if again:
            logger.info("{}: {} of {} chunks have not changed and are used again", table.path, again, len(share))
    todo = deque(chunk for chunk in share if any(chunk.key not in partial.done for _, partial in partials))
    losses = Losses(contents, allowed(options.max_quarantined, len(work.source)))
    return [Lane(job, work.source, partials, chunks, todo, losses, ledger.open())]


def _done_in_all(lane: Lane) -> dict[str, Any]:
    """The entries of the chunks that need not be computed."""
    todo = {chunk.key for chunk in lane.todo}
    _, partial = lane.partials[0]
    return {key: entry for key, entry in partial.done.items() if key not in todo}


def _finish(work: SourceJobs, lane: Lane, unfinished: Sequence[Unfinished], options: Options, begin: float) -> None:
    """Put together the tables of which every chunk is there; by shards, the last one does it."""
    for one in unfinished:
        if options.shard is not None and not _is_last(work, one, options):
            continue
        lost = one.reasons()
        if lane.losses.allowed < len(lost) < len(work.source):
            raise _too_many(work, options, [lane])
        put_together(one, options.per_item, lane.computed, begin)
        one.table.reason = None


def _is_last(work: SourceJobs, one: Unfinished, options: Options) -> bool:
    """Whether this shard is to put the table together; it may have been put together already."""
    whole = one.is_whole()
    mine = whole and one.partial.alone()
    if why(one.table, work.source, options.per_item) is None:
        one.table.reason = None
        if mine:
            one.partial.remove()
        return False
    if not whole:
        done = sum(chunk.key in one.partial.done for chunk in one.chunks)
        logger.info(
            "{}: shard {} is done; {} of {} chunks are there. The shard that brings the last puts the table "
            "together, or the same command without --shard", one.table.path, options.shard, done, len(one.chunks),
        )  # fmt: skip
    elif not mine:
        logger.info("{}: another shard puts the table together", one.table.path)
    return whole and mine


def _too_many(work: SourceJobs, options: Options, lanes: Sequence[Lane]) -> UserError:
    """The error for too many unusable items; those found so far are listed first."""
    found: dict[int, str] = {}
    for lane in lanes:
        for first, reason in lane.losses.reasons.items():
            text = f"{lane.job.model.model_name}: {reason.text}" if reason.by_model else reason.text
            found |= dict.fromkeys(lane.losses.contents.places(first), text)
    source = work.source
    notes = [Note(source.ids[place], source.file(place), found[place]) for place in sorted(found)]
    paths = [write_quarantine(output, work.modality, [*source.left_out, *notes]) for output in work.outputs]
    limit = allowed(options.max_quarantined, len(source))
    rule = "a quarter of them, and 20 in any case" if options.max_quarantined is None else f"{options.max_quarantined}"
    return UserError(
        f"{len(notes)} of {len(source)} {work.modality} items could not be used so far, and `max_quarantined` allows "
        f"{limit} ({rule}); the first, {notes[0].file}: {notes[0].reason}",
        where=source.path,
        mend=f"look at {' and '.join(map(str, paths))}; if so many are bound to fail, raise `max_quarantined` "
        "(a share, up to 1), and the same command goes on from here",
    )


def _list_left_out(work: SourceJobs) -> list[Note]:
    """Write `quarantine.tsv` anew, from the manifests; gives back what could not be used."""
    quarantined = notes_of(work)
    for output in work.outputs:
        write_quarantine(output, work.modality, [*work.source.left_out, *quarantined])
    return quarantined


def _report(work: SourceJobs, quarantined: Sequence[Note]) -> None:
    if quarantined:
        first = quarantined[0]
        logger.warning(
            "{} of {} {} items could not be used and are listed in {}; the first is {}: {}",
            len(quarantined), len(work.source), work.modality,
            " and ".join(str(output / "quarantine.tsv") for output in work.outputs), first.item, first.reason,
        )  # fmt: skip


def _show(config: Config, plans: list[SourceJobs], rates: dict[Path, str], tables: dict[Path, FeatureTable]) -> None:
    rows = []
    for work in plans:
        for job in work.jobs:
            for table in job.tables:
                opened = tables.get(table.path)
                rate = rates.get(table.path, "used again")
                row = (job.modality, job.model.backend, job.model.model_name, table.layer.name)
                size = ("-", "-") if opened is None else (len(opened.ids), opened.dim)
                rows.append((*row, *size, rate, str(table.path)))
    headers = ("modality", "backend", "model", "layer", "items", "dim", "items/s", "folder")
    print_result(text_table(headers, rows, left=("backend", "model", "layer", "folder")))
    _show_costs(plans, rates, tables)
    if len(tables) < len(rows):
        logger.success("{} of {} feature tables; the other shards finish the rest", len(tables), len(rows))
        return
    name = config.dataset.resolve().name
    logger.success("{} feature tables; next: python run_split.py --dataset {}", len(tables), name)


def _show_costs(plans: list[SourceJobs], rates: dict[Path, str], tables: dict[Path, FeatureTable]) -> None:
    """What each model took of which a table was made now."""
    names: list[tuple[str, str]] = []
    costs: list[dict[str, Any]] = []
    for work in plans:
        for job in work.jobs:
            made = [tables[table.path] for table in job.tables if table.path in rates and table.path in tables]
            cost = next((found for table in made if (found := cost_of(table.manifest))), None)
            if cost is not None:
                names.append((job.modality, job.model.model_name))
                costs.append(cost)
    if costs:
        headers, cells = cost_columns(costs)
        rows = [(*name, *row) for name, row in zip(names, cells, strict=True)]
        print_result(text_table(("modality", "model", *headers), rows, left=("model",)))
