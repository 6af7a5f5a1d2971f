"""`bottega data export`: a split data folder in the form of another framework."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


class Target(str, Enum):
    """What can be exported to."""

    mmrec = "mmrec"
    recbole = "recbole"
    elliot = "elliot"
    recom_data = "recom_data"


def export_data(
    dataset: Annotated[str, typer.Argument(help="a folder in data/ that run_split.py has split")],
    target: Annotated[Target, typer.Option("--to", help="the form to write")],
    out: Annotated[Path, typer.Option(help="the folder to make; it must not hold anything yet")],
    visual: Annotated[Path | None, typer.Option(help="the visual table, .../<backend>/<model>/<layer>")] = None,
    textual: Annotated[Path | None, typer.Option(help="the textual table")] = None,
    audio: Annotated[Path | None, typer.Option(help="the audio table")] = None,
    refuse_missing: Annotated[
        bool, typer.Option("--refuse-missing", help="stop where an item has no features")
    ] = False,
) -> None:
    """Write the split and its features; the only table of a modality is taken, of several one must be named."""
    from loguru import logger

    from bottega.data.names import check_name
    from bottega.data.prepared import read_prepared
    from bottega.data.targets import write_target

    given = {"visual": visual, "textual": textual, "audio": audio}
    prepared = read_prepared(Path("data") / check_name(dataset), given, refuse_missing)
    write_target(target.value, prepared, out)
    logger.success("{}: {} in the form of {}", out, dataset, target.value)
