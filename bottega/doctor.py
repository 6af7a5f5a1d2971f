"""`bottega doctor`: is everything there, and what to do about what is not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from bottega.checks.finding import Finding

_COLOURS = {"✓": "green", "!": "yellow", "✗": "red"}


def doctor() -> None:
    """Check Python, packages, torch, GPU, memory, hub, disk and this folder; say what to do. Status 1 on a ✗."""
    from bottega.checks import machine, packages, surroundings

    checks = [
        packages.python, packages.required, packages.extras, packages.torch, machine.gpu, machine.cores,
        machine.memory, surroundings.hub, surroundings.disk, surroundings.project, surroundings.writing,
    ]  # fmt: skip
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a terminal without the sign ✓
    ill = False
    for check in checks:
        for finding in examine(check):
            ill |= finding.mark == "✗"
            typer.echo(f"{typer.style(finding.mark, fg=_COLOURS[finding.mark])} {finding.subject:9} {finding.text}")
            if finding.mend:
                typer.echo(f"            -> {finding.mend}")
    if ill:
        raise typer.Exit(1)


def examine(check: Callable[[], list[Finding]]) -> list[Finding]:
    """What a check found; one that breaks down has found something, too."""
    from bottega.checks.finding import Finding
    from bottega.checks.packages import first_line

    try:
        return check()
    except Exception as error:
        text = f"the check broke down: {type(error).__name__}: {first_line(error)}"
        return [Finding("!", getattr(check, "__name__", "check"), text, "please report this line")]
