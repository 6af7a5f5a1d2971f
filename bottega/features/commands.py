"""`bottega features ls | stats | verify | sheet | rm`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Look at feature tables: list, check, compare, remove.")

Folder = Annotated[Path, typer.Argument(help="a data folder or an output folder; every table below it counts")]
Table = Annotated[Path, typer.Argument(help="the layer's folder, .../<backend>/<model>/<layer>")]


@app.command("ls")
def list_tables(folder: Folder = Path("data")) -> None:
    """List every table: items, dimension, what was quarantined, size on disk, and what its model took."""
    from bottega.features.inventory import inventory
    from workbench.console import show, table

    rows = [entry.cells() for entry in inventory(folder)]
    headers = ["table", "items", "dim", "weights", "quarantined", "MB", "seconds", "parameters"]
    show(table(headers, rows, left=("weights",)))


@app.command()
def stats(path: Table) -> None:
    """Norms, zero, constant and duplicate rows, NaN, and the spread of the dimensions."""
    from bottega.features.soundness import describe
    from workbench.console import show, table
    from workbench.features import open_table

    show(table(["property", "value"], describe(open_table(path)), left=("value",)))


@app.command()
def verify(folder: Folder = Path("data")) -> None:
    """Check hashes, shapes, per-item files and numbers of every table; exit status 1 if one is unsound."""
    from bottega.features.soundness import faults
    from workbench.console import show
    from workbench.features import find_tables

    sound = True
    for path in find_tables(folder):
        found = faults(path)
        sound &= not found
        show(f"{path}: {'; '.join(found) if found else 'sound'}")
    if not sound:
        raise typer.Exit(1)


@app.command()
def sheet(
    path: Table,
    images: Annotated[Path | None, typer.Option(help="folder of item images, for thumbnails")] = None,
    texts: Annotated[Path | None, typer.Option(help="TSV with a header, for captions: first column ids")] = None,
    items: Annotated[str, typer.Option(help="item ids, comma separated; default: some, evenly spaced")] = "",
    neighbours: Annotated[int, typer.Option(min=1, help="neighbours an item")] = 6,
    out: Annotated[Path, typer.Option(help="the page to write")] = Path("neighbours.html"),
) -> None:
    """A page with the nearest neighbours of some items, by cosine, with thumbnails: does the encoder make sense?"""
    from loguru import logger

    from bottega.features.sheet import write_sheet
    from workbench.features import open_table

    chosen = [item for item in items.split(",") if item]
    write_sheet(open_table(path), out, chosen, neighbours, images, texts)
    logger.success("{}: open it in a browser", out)


@app.command()
def rm(path: Table, yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False) -> None:
    """Remove one table: matrix, manifest and per-item files."""
    from bottega.features.inventory import check_removable, remove

    check_removable(path)
    if not yes:
        typer.confirm(f"remove {path}?", abort=True)
    remove(path)
