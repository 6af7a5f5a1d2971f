"""`bottega report`: the tables and the page of a finished experiment, made again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bottega import completion


def report(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="a results folder, its experiment file, or dataset/experiment",
            autocompletion=completion.runs_and_configs,
        ),
    ],
) -> None:
    """Write all tables and the HTML page again from results.json, and print the table; nothing is trained."""
    from benchmark.folder import alone_in
    from bottega.runs.finding import find_run

    folder = find_run(run)
    from loguru import logger

    from benchmark.reports import read_report, render, write_files
    from benchmark.reports.html.page import write_page
    from workbench.console import show, wants_style

    with alone_in(folder, "command"):
        found = read_report(folder)
        write_files(folder, found, _as_triplets(found.config))
        show(render(found, wants_style()))
        write_page(folder / "report.html", found, Path("data") / found.dataset / "images")
    logger.success("{}: written again; open {}", folder, folder / "report.html")


def _as_triplets(config: str) -> bool:
    """Whether the experiment asked for tables with a line a figure."""
    import yaml

    try:
        return yaml.safe_load(config)["experiment"]["print_results_as_triplets"] is True
    except (yaml.YAMLError, KeyError, TypeError):
        return False
