"""How a verb is run: its mistakes are sentences, Ctrl-C is answered, and a launcher is one verb alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

_OURS = ("workbench", "extractor", "benchmark", "external", "bottega")


def _answered(run: Callable[[], Any]) -> Any:
    """What typer would answer with a bare `Aborted` or a traceback."""
    try:
        return run()
    except KeyboardInterrupt:
        from loguru import logger

        logger.error("stopped by hand; what was finished is kept, and the same command goes on from there")
        raise typer.Exit(130) from None
    except ModuleNotFoundError as missing:
        package = (missing.name or "").partition(".")[0]
        if package in ("", *_OURS):
            raise
        from workbench.errors import UserError

        mend = "`make install`, or `pip install -e .` in your environment; `bottega doctor` names all that is missing"
        raise UserError(f"the package {package} is not installed", mend=mend) from missing


class Verb(TyperCommand):
    """A command of its own."""

    def invoke(self, ctx: Any) -> Any:
        return _answered(lambda: super(Verb, self).invoke(ctx))


class Verbs(TyperGroup):
    """All verbs."""

    def invoke(self, ctx: Any) -> Any:
        return _answered(lambda: super(Verbs, self).invoke(ctx))


def run_app(app: typer.Typer, name: str | None = None) -> None:
    """Run a command line to its end; a mistake of the user is one message and exit status 2."""
    from workbench.console import run_command

    run_command(lambda: app(prog_name=name))


def launch(verb: Callable[..., None], script: str) -> None:
    """Run one verb as a script of its own, `python <script>`."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(cls=Verb)(verb)
    run_app(app, f"python {script}")


def one_of(alone: str | None, option: str | None, name: str, long: str) -> str:
    """The value that may be given alone or, as the launchers have it, behind an option."""
    if alone is not None and option is not None:
        raise typer.BadParameter(f"{name} is given twice, alone and as {long}")
    value = alone if option is None else option
    if value is None:
        raise typer.BadParameter(f"{name} is missing")
    return value
