"""`bottega data import | export | lists`: one file a verb."""

from __future__ import annotations

import typer

from bottega.data.exporting import export_data
from bottega.data.importing import import_data
from bottega.data.listing import list_run

app = typer.Typer(no_args_is_help=True, help="Data sets of other frameworks: import them, and export ours.")
app.command("import")(import_data)
app.command("export")(export_data)
app.command("lists")(list_run)
