"""The command `bottega`. Each verb imports what it needs when it runs, so that `--help` answers at once."""

from __future__ import annotations

import typer

from bottega import demo_command, doctor, extract, report, run, split
from bottega.amazon.commands import amazon
from bottega.data.commands import app as data
from bottega.features.commands import app as features
from bottega.runs.commands import app as runs
from bottega.verbs import Verbs, run_app

BEGIN, EXTRACT, SPLIT, RUN, LOOK = "Begin", "1. Extract", "2. Split", "3. Run", "4. Look"

app = typer.Typer(name="bottega", cls=Verbs, no_args_is_help=True, pretty_exceptions_enable=False)
app.command(rich_help_panel=BEGIN)(demo_command.demo)
app.command(rich_help_panel=BEGIN)(doctor.doctor)
app.command(rich_help_panel=BEGIN)(amazon)
app.add_typer(data, name="data", rich_help_panel=BEGIN)
app.command(rich_help_panel=EXTRACT, context_settings=extract.SETTINGS, options_metavar=extract.USAGE)(extract.extract)
app.add_typer(features, name="features", rich_help_panel=EXTRACT)
app.command(rich_help_panel=SPLIT)(split.split)
app.command(rich_help_panel=RUN)(run.run)
app.command(rich_help_panel=LOOK)(report.report)
app.add_typer(runs, name="runs", rich_help_panel=LOOK)


@app.callback()
def _root() -> None:
    """A workbench for multimodal recommendation: contents -> features, reviews -> a split, both -> a table.

    New here: `bottega doctor`, then `bottega demo`.
    """


def main() -> None:
    """Entry point."""
    run_app(app, "bottega")


if __name__ == "__main__":
    main()
