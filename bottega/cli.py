"""The command `bottega`. Each verb imports what it needs when it runs, so that `--help` answers at once."""

from __future__ import annotations

import typer

from bottega.amazon.commands import amazon
from bottega.data.commands import app as data
from bottega.features.commands import app as features

app = typer.Typer(no_args_is_help=True, add_completion=True, help="A workbench for multimodal recommendation.")
app.add_typer(data, name="data")
app.add_typer(features, name="features")
app.command()(amazon)


@app.callback()
def _root() -> None:
    """A workbench for multimodal recommendation."""


def main() -> None:
    """Entry point; a mistake of the user is one message and exit status 2."""
    from workbench.console import run_command

    run_command(lambda: app(standalone_mode=True))


if __name__ == "__main__":
    main()
