"""`bottega data import`: a data set of another framework becomes a data folder."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


class Source(str, Enum):
    """What can be imported."""

    mmrec = "mmrec"
    recbole = "recbole"
    elliot = "elliot"
    recom_data = "recom_data"
    adjacency = "adjacency"
    cornac = "cornac"
    tsv = "tsv"
    csv = "csv"
    parquet = "parquet"


class Duplicates(str, Enum):
    """Which row of a (user, item) pair stays."""

    error = "error"
    first = "first"
    last = "last"
    max = "max"


def import_data(
    path: Annotated[Path, typer.Argument(help="a file, or the folder of a data set")],
    source: Annotated[Source, typer.Option("--from", help="the form in which it lies there")],
    dataset: Annotated[str, typer.Option(help="name of the folder to make in data/")],
    duplicates: Annotated[Duplicates, typer.Option(help="which row of a doubled pair stays")] = Duplicates.error,
    columns: Annotated[str, typer.Option(help="e.g. user=reviewerID,item=asin; names, or places from 0")] = "",
    separator: Annotated[str, typer.Option(help="one character between columns")] = "",
    force: Annotated[bool, typer.Option("--force", help="replace the interactions and tables that are there")] = False,
) -> None:
    """Write data/<dataset>: a ready split or reviews.tsv, feature tables, texts; then run run_split.py."""
    from bottega.data.bundle import read_bundle
    from bottega.data.install import install, refuse_existing
    from bottega.data.names import check_name, layout_of

    folder = Path("data") / check_name(dataset)
    refuse_existing(folder, force)  # before anything long is read
    layout = layout_of(source.value, columns, separator)
    install(read_bundle(source.value, path, duplicates.value, layout), folder, force)
