"""`bottega runs ls | show | compare | rm`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from bottega import completion

app = typer.Typer(no_args_is_help=True, help="Look at results: list, show, compare, remove.")


def _argument(metavar: str) -> Any:
    return typer.Argument(
        metavar=metavar,
        help="dataset/experiment, a path, an experiment file, or the beginning of a name",
        autocompletion=completion.runs_and_configs,
    )


Run = Annotated[str, _argument("RUN")]


@app.command("ls")
def list_runs() -> None:
    """List every results folder: rows, trials, the best row by the first metric, size on disk."""
    from benchmark.folder import RESULTS
    from bottega.runs.finding import all_runs, name_of
    from bottega.runs.listing import HEADERS, cells
    from workbench.console import show, table

    found = all_runs()
    if not found:
        show(f"nothing in {RESULTS}/ yet: bottega run FILE")
        return
    rows = [cells(name_of(folder), folder) for folder in found]
    show(table(HEADERS, rows, left=("best row", "its figure", "finished")))


@app.command("show")
def show_run(run: Run) -> None:
    """Print the table of a run, and where its page is."""
    from bottega.runs.finding import find_run
    from bottega.runs.listing import count_trials
    from workbench.console import show, wants_style

    folder = find_run(run)
    if not (folder / "results.json").is_file():
        finished, failed = count_trials(folder / "journal.jsonl")
        show(
            f"{folder}: not finished; {finished} trials are done, {failed} failed. The same command goes on from there."
        )
        return
    from benchmark.reports import read_report, render

    show(render(read_report(folder), wants_style()))
    page = folder / "report.html"
    show(f"page: {page}" if page.is_file() else f"no page there; make it: bottega report {run}")


@app.command()
def compare(runs: Annotated[list[str], _argument("RUN RUN...")]) -> None:
    """Put the rows of runs side by side, with the significance of the differences to the first."""
    from bottega.runs.finding import find_run

    folders = [find_run(run) for run in runs]
    from benchmark.reports.comparison import compare_runs
    from workbench.console import show, wants_style

    show(compare_runs(folders, wants_style()))


@app.command()
def rm(
    run: Run,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
    checkpoints: Annotated[
        bool, typer.Option("--checkpoints", help="only the weights; figures, tables and the journal stay")
    ] = False,
) -> None:
    """Remove a run with everything in its folder."""
    from loguru import logger

    from bottega.runs.finding import find_run
    from bottega.runs.listing import megabytes
    from bottega.runs.removing import check_removable, remove, remove_weights

    folder = find_run(run)
    check_removable(folder)
    what = f"the weights in {folder / 'checkpoints'}" if checkpoints else f"{folder} with everything in it"
    size = megabytes(folder / "checkpoints" if checkpoints else folder)
    if not yes:
        typer.confirm(f"remove {what} ({size:.1f} MB)?", abort=True)
    if checkpoints:
        logger.success(
            "{}: {} files of weights removed; what needs them is trained again", folder, remove_weights(folder)
        )
    else:
        remove(folder)
        logger.success("{}: removed", folder)
