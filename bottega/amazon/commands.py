"""`bottega amazon`: a multimodal data set from the review dumps of Amazon."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


class Year(str, Enum):
    """The collections."""

    y2014 = "2014"
    y2018 = "2018"
    y2023 = "2023"


class Duplicates(str, Enum):
    """Which review of a (user, item) pair stays."""

    first = "first"
    last = "last"
    max = "max"
    error = "error"


class Keep(str, Enum):
    """Which items stay."""

    everything = "everything"
    any = "any"
    all = "all"
    image = "image"
    text = "text"


def amazon(
    reviews: Annotated[Path, typer.Option(help="JSON lines, plain or gzipped, e.g. reviews_Baby_5.json.gz")],
    meta: Annotated[Path, typer.Option(help="the metadata of the same category, e.g. meta_Baby.json.gz")],
    dataset: Annotated[str, typer.Option(help="name of the folder to make in data/")],
    year: Annotated[Year | None, typer.Option(help="the collection; default: told by the keys of the files")] = None,
    duplicates: Annotated[Duplicates, typer.Option(help="which review of a user and item stays")] = Duplicates.last,
    keep: Annotated[Keep, typer.Option(help="the items that stay, by what they have")] = Keep.everything,
    text: Annotated[str, typer.Option(help="parts of the item's text")] = "title,brand,categories,features,description",
    images: Annotated[bool, typer.Option("--images/--no-images", help="download the pictures")] = True,
    workers: Annotated[int, typer.Option(min=1, max=64, help="pictures at a time")] = 8,
    per_host: Annotated[int, typer.Option(min=1, help="requests at a time to one host")] = 4,
    delay: Annotated[float, typer.Option(min=0, help="seconds between two requests to one host")] = 0.05,
    retry_missing: Annotated[
        bool, typer.Option("--retry-missing", help="ask again for what was missing for good")
    ] = False,
    allow_local: Annotated[
        bool, typer.Option("--allow-local", help="pictures may be on hosts of the own network")
    ] = False,
) -> None:
    """Reviews, texts and pictures of a category (2014, 2018 or 2023) as a data folder; run it again to go on."""
    from loguru import logger

    from bottega.amazon.fetching import DownloadSettings
    from bottega.amazon.job import AmazonSettings, build

    settings = AmazonSettings(
        year=int(year.value) if year else None,
        duplicates=duplicates.value,
        keep=keep.value,
        text=tuple(part.strip() for part in text.split(",") if part.strip()),
        images=DownloadSettings(workers=workers, per_host=per_host, delay=delay, allow_local=allow_local)
        if images
        else None,
        retry_missing=retry_missing,
    )
    try:
        build(reviews, meta, Path("data") / dataset, settings)
    except KeyboardInterrupt:
        # here, as click would say no more than `Aborted`
        logger.error("stopped by hand; what was read and downloaded is kept, and the same command goes on from there")
        raise typer.Exit(130) from None
