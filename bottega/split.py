"""`bottega split`: reviews -> train / val / test."""

from __future__ import annotations

from typing import Annotated

import typer

from bottega import completion
from bottega.verbs import one_of


def split(
    dataset: Annotated[
        str | None,
        typer.Argument(metavar="DATASET", help="name of a folder in data/", autocompletion=completion.datasets),
    ] = None,
    named: Annotated[
        str | None,
        typer.Option("--dataset", help="DATASET, as the launcher has it", autocompletion=completion.datasets),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(
            help="YAML with a `splitting` block (default: config_files/split_<dataset>.yml, or 20 % / 10 %)",
            autocompletion=completion.configs,
        ),
    ] = None,
) -> None:
    """Split data/<dataset>/reviews.tsv; number users, items and the rows of the feature tables."""
    name = one_of(dataset, named, "DATASET", "--dataset")
    from loguru import logger

    from benchmark.prepare import prepare

    done = prepare(name, config).folder.name
    logger.success("data/{}: split and indexed; next: python run_experiment.py config_files/{}.yml", done, done)
