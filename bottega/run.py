"""`bottega run`: features + split -> a table."""

from __future__ import annotations

from typing import Annotated

import typer

from bottega import completion


def run(
    files: Annotated[list[str], typer.Argument(metavar="FILE", autocompletion=completion.configs)],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="set a key of FILE: models.external.VBPR.lr=0.001"),
    ] = None,
    gpu: Annotated[int | None, typer.Option(help="the same as --set gpu=N; -1 is the CPU")] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="print the trials, what is done already and an estimate; run nothing")
    ] = False,
    retry: Annotated[bool, typer.Option("--retry", help="run trials again that failed before")] = False,
) -> None:
    """Tune models on validation, judge the chosen ones on test, print the table.

    What an earlier run finished under the same settings is not run again.

    The VALUE of --set is read as YAML, so that a list is a grid; `experiment.` may be left out of KEY.
    """
    if plan and retry:
        raise typer.BadParameter("--plan runs nothing: leave out --retry")
    from workbench.config import assignments

    overrides = assignments(changes or []) + ([] if gpu is None else [("gpu", str(gpu))])
    if not plan:
        _start_workers(files, overrides)
    from loguru import logger

    from benchmark.experiment import check_experiment

    experiments = [check_experiment(file, overrides) for file in files]  # all, before the first one runs for hours
    for experiment in experiments:
        if plan:
            experiment.show_plan()
            continue
        folder = experiment.run(retry)
        logger.success("{}: tables, per-user values and the journal; open {}", folder, folder / "report.html")


def _start_workers(files: list[str], overrides: list[tuple[str, str]]) -> None:
    """Let the server of worker processes, where a file asks for such, load torch while this process does, too."""
    from workbench.config import apply_overrides, read_yaml

    for file in files:
        experiment = apply_overrides(read_yaml(file), overrides, root="experiment").data.get("experiment")
        executor = experiment.get("executor") if isinstance(experiment, dict) else None
        if executor == "processes" or (isinstance(executor, dict) and "processes" in executor):
            from benchmark.forking import start_early

            start_early()
