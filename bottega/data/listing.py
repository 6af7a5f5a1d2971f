"""`bottega data lists`: a trained run of Align-MacridVAE's program becomes a row of a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def list_run(
    run: Annotated[Path, typer.Argument(help="run/<info>, with a model.pkl")],
    data: Annotated[Path, typer.Option(help="RecomData/<name>, on which it was trained")],
    out: Annotated[Path, typer.Option(help="the file to make, .tsv; its name is that of the row")],
    top: Annotated[int, typer.Option(min=1, help="items a user")] = 100,
    tau: Annotated[float | None, typer.Option(help="where the name of the folder does not tell it")] = None,
) -> None:
    """Write what a trained Macrid model of Align-MacridVAE recommends, for RecommendationFolder in an experiment."""
    from loguru import logger

    from bottega.data.macrid_lists import write_run_lists
    from bottega.data.macrid_run import read_run
    from workbench.errors import UserError

    if out.suffix != ".tsv":
        raise UserError("lists are read from .tsv files", where=out, mend="end --out in .tsv")
    if out.exists():
        raise UserError("there is something already", where=out, mend="name a new file")
    write_run_lists(read_run(run, data, tau), data, out, top)
    logger.success(
        "{}: up to {} items a user; next: `RecommendationFolder` among the models of an experiment", out, top
    )
