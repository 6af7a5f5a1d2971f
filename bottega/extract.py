"""`bottega extract`: contents -> features."""

from __future__ import annotations

from typing import Annotated

import typer

from bottega import completion
from bottega.verbs import one_of

# options that are not known here are keys of the YAML file
SETTINGS = {"allow_extra_args": True, "ignore_unknown_options": True}
USAGE = "FILE [OPTIONS] [--KEY.SUB VALUE ...]"


def extract(
    context: typer.Context,
    config: Annotated[
        str | None, typer.Option(help="FILE, as the launcher has it", autocompletion=completion.configs)
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="print items, layers, disk and an estimate of the time; write nothing")
    ] = False,
    shard: Annotated[str | None, typer.Option(metavar="I/N", help="compute the I-th of N shares, 1/4 to 4/4")] = None,
    weights_root: Annotated[
        str | None,
        typer.Option("--weights-root", "--weights_root", help="where weights lie that cannot be downloaded"),
    ] = None,
    changes: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="set a key of FILE")] = None,
) -> None:
    """Turn the contents of a catalogue into feature tables, as a YAML file (Ducho's keys) says.

    `--textual.items.model.0.batch_size 64` sets a key of the file, too; places in lists are counted from 0.

    A second run does again only what has changed, and a run that was stopped goes on where it was.
    """
    from extractor.run import Arguments, extract, key_values
    from workbench.config import assignments

    found, alone = key_values(context.args)
    if len(alone) > 1:
        raise typer.BadParameter(f"one FILE at a time, not also {alone[1]!r}")
    file = one_of(alone[0] if alone else None, config, "FILE", "--config")
    extract(Arguments(file, weights_root, assignments(changes or []) + found, shard, plan))
