"""What the user sees: log lines, progress bars, tables, and errors as sentences."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from loguru import logger

from workbench.errors import UserError

if TYPE_CHECKING:  # loaded by what needs them, so that `--help` does not wait for them
    from tqdm import tqdm

_FORMAT = "<green>{time:HH:mm:ss}</green> <level>{level.icon}</level> {message}"


def start_logging() -> None:
    """Send log lines to standard error through tqdm, so that they never tear a progress bar."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows no dagger
    logger.remove()
    for level, icon in (("DEBUG", "."), ("INFO", "·"), ("SUCCESS", "✓"), ("WARNING", "!"), ("ERROR", "✗")):
        logger.level(level, icon=icon)
    logger.add(
        _write,
        format=_FORMAT,
        colorize=sys.stderr.isatty(),
        level="INFO",
    )


def _write(line: str) -> None:
    from tqdm import tqdm

    tqdm.write(line, file=sys.stderr, end="")


def progress(total: int, label: str, unit: str, show: bool = True) -> tqdm:
    """A progress bar on standard error with `unit`s a second; silent where nobody watches a terminal."""
    from tqdm import tqdm

    return tqdm(
        total=total,
        desc=label,
        unit=unit,
        dynamic_ncols=True,
        leave=False,
        disable=not show or not sys.stderr.isatty() or bool(os.environ.get("TQDM_DISABLE")),
        file=sys.stderr,
    )


def table(headers: Sequence[str], rows: Sequence[Sequence[Any]], left: Sequence[str] = ()) -> str:
    """A PrettyTable as text; numbers to the right, the columns named in `left` to the left."""
    from prettytable import PrettyTable

    pretty = PrettyTable(list(headers))
    pretty.align = "r"
    for name in (headers[0], *left):
        pretty.align[name] = "l"
    pretty.add_rows([list(row) for row in rows])
    return pretty.get_string()


def show(text: str) -> None:
    """Print a result on standard output at once, so that it keeps its place among the log lines."""
    print(text, flush=True)


def wants_style() -> bool:
    """Whether standard output is a terminal whose user has not asked for plain text (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def run_command(command: Callable[[], None]) -> None:
    """Run a launcher's body; a `UserError` becomes one message and exit status 2, Ctrl-C status 130."""
    start_logging()
    try:
        command()
    except UserError as error:
        logger.error("{}", error.render())
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        logger.error("stopped by hand; what was finished is kept, and the same command goes on from there")
        raise SystemExit(130) from None
