"""The whole way: dumps -> work folder -> pictures -> data folder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from loguru import logger
from pydantic import Field

from bottega.amazon.dataset import (
    FILES,
    META,
    MISSING_IMAGES,
    QUARANTINE,
    RECORD,
    REVIEWS,
    Keep,
    Modalities,
    coverage,
    look_at_texts,
    may_need_image,
    write_dataset,
    write_extraction,
)
from bottega.amazon.download import Absent, Images, Wanted
from bottega.amazon.fetching import DownloadSettings
from bottega.amazon.reviews import Duplicates
from bottega.amazon.staging import Staged, stage
from bottega.amazon.texts import PARTS
from workbench.config import Settings
from workbench.console import show, table
from workbench.errors import UserError
from workbench.locks import Held, Lock

WORK = ".amazon"  # in the data folder: what was read, and the journal of downloads


class AmazonSettings(Settings):
    """What becomes of the dumps.

    Attributes
    ----------
    year : of the collection; None finds it by itself.
    duplicates : which review of a (user, item) pair stays, see `reviews.distinct`.
    keep : which items stay: all of them (`everything`), or those with `any` modality, `all`, an `image`, a `text`.
    text : the parts of the column `text`, in order.
    images : None downloads none. retry_missing : ask again for pictures that are missing for good.
    """

    year: int | None = None
    duplicates: Duplicates = "last"
    keep: Keep = "everything"
    text: tuple[str, ...] = PARTS
    images: DownloadSettings | None = Field(default_factory=DownloadSettings)
    retry_missing: bool = False


def build(reviews: Path, meta: Path, folder: Path, settings: AmazonSettings) -> None:
    """Fill a data folder from two dumps. The same call goes on where an earlier one was ended.

    Raises
    ------
    UserError : files that are no such dumps, a folder that holds other data, settings that contradict each other.
    KeyboardInterrupt : Ctrl-C; what was finished is kept.
    """
    _check(folder, settings)
    work = folder / WORK
    try:
        lock = Lock(work / "lock")
    except Held as held:
        raise UserError(f"another run is at work there ({held.by})", where=folder, mend="wait for it") from None
    try:
        _sweep(folder)
        staged = stage(reviews, meta, work, folder / QUARANTINE, settings.year, settings.duplicates)
        modalities = look_at_texts(staged, settings.text)
        if settings.images is not None:
            modalities = replace(modalities, absent=_fetch(folder, staged, modalities, settings))
        if not modalities.kept(settings.keep):
            raise UserError(f"no item has what --keep {settings.keep} asks for", where=folder, mend="keep more")
        steps = write_dataset(
            folder, staged, modalities, settings.text, settings.keep, {"duplicates": settings.duplicates}
        )
    finally:
        lock.release()
    show(table(["step", "users", "items", "reviews"], [(name, *map("{:,}".format, row)) for name, *row in steps]))
    if settings.images is not None:
        show(table(["items with", "items"], [(name, f"{count:,}") for name, count in coverage(modalities)]))
    _say_what_next(folder, modalities)


def _check(folder: Path, settings: AmazonSettings) -> None:
    if not re.fullmatch(r"[\w][\w.+-]*", folder.name):
        raise UserError(f"{folder.name!r} is no name of a data set", mend="use letters, digits, `_`, `-` and `.`")
    unknown = [part for part in settings.text if part not in PARTS]
    if unknown or not settings.text or len(set(settings.text)) < len(settings.text):
        what = f"no part of a text: {unknown[0]!r}" if unknown else "the parts of the text are missing or repeated"
        raise UserError(what, where="--text", mend=f"choose from {', '.join(PARTS)}")
    if settings.images is None and settings.keep not in ("everything", "text"):
        raise UserError(f"--keep {settings.keep} needs to know which items have pictures", mend="leave out --no-images")
    foreign = next((name for name in (REVIEWS, META) if (folder / name).exists()), None)
    if foreign and not (folder / WORK).is_dir() and not (folder / RECORD).is_file():
        raise UserError(
            "this file was made by something else and would be overwritten",
            where=folder / foreign,
            mend="choose another --dataset, or move the file away",
        )


def _sweep(folder: Path) -> None:
    """Remove what a run that was killed left unfinished."""
    for pattern in (f"{WORK}/.*.tmp", "images/.*.tmp", *(f".{name}.*.tmp" for name in FILES)):
        for left_over in folder.glob(pattern):
            left_over.unlink(missing_ok=True)


def _fetch(folder: Path, staged: Staged, modalities: Modalities, settings: AmazonSettings) -> dict[str, Absent]:
    assert settings.images is not None
    images = Images(folder / "images", folder / WORK / "downloads.jsonl", settings.images, settings.retry_missing)
    needed = {item for item in modalities.items if may_need_image(settings.keep, item in modalities.texts)}
    absent = {item: Absent("", "not asked for: the item has no text", False) for item in modalities.items - needed}
    absent |= {item: Absent("", "no metadata", True) for item in needed - modalities.described}
    total = len(needed & modalities.described)
    return absent | images.fetch(_wanted(staged, needed), total)


def _wanted(staged: Staged, needed: set[str]) -> Iterator[Wanted]:
    return (Wanted(product["item"], product["urls"]) for product in staged.products() if product["item"] in needed)


def _say_what_next(folder: Path, modalities: Modalities) -> None:
    absent = modalities.absent or {}
    again: Sequence[str] = [item for item, miss in absent.items() if miss.url and not miss.final]
    if again:
        logger.warning(
            "{:,} pictures did not come for a reason that may pass, {}: {}; run the same command again to ask for them",
            len(again),
            again[0],
            absent[again[0]].why,
        )
    if absent:
        logger.info("{}: {:,} items without a picture, with the reason", folder / MISSING_IMAGES, len(absent))
    path = write_extraction(folder, modalities.absent is not None)
    logger.success(
        "{}: ready; next: python extractor/run.py --config {}, and python run_split.py --dataset {}",
        folder,
        path,
        folder.name,
    )
