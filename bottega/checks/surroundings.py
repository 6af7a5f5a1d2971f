"""The hub, the disk, and the folder that the command was started in."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from pathlib import Path

from bottega.checks.finding import Finding
from bottega.checks.packages import first_line

_SECONDS = 3.0
_FULL, _TIGHT = 0.5, 5.0  # GB
_OFFLINE = (
    "fine without: put weights into a folder and name it, `bottega extract FILE --weights-root FOLDER` "
    "or BOTTEGA_WEIGHTS_ROOT"
)


def hub() -> list[Finding]:
    """Whether weights can be downloaded."""
    endpoint = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    found = _weights_root()
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return [*found, Finding("!", "hub", "HF_HUB_OFFLINE is set: nothing is downloaded", _OFFLINE)]
    answer: list[str] = []
    # in a thread: looking up a name has no time limit of its own
    asking = threading.Thread(target=lambda: answer.append(_ask(endpoint)), daemon=True)
    asking.start()
    asking.join(_SECONDS + 0.5)
    fault = answer[0] if answer else f"no answer within {_SECONDS:.0f} s"
    if fault:
        return [*found, Finding("!", "hub", f"{endpoint} cannot be reached: {fault}", _OFFLINE)]
    return [*found, Finding("✓", "hub", f"{endpoint} answers")]


def _ask(endpoint: str) -> str:
    """What is wrong with the hub; empty where nothing is."""
    try:
        import requests

        status = requests.head(endpoint, timeout=_SECONDS, allow_redirects=True).status_code
    except Exception as error:  # also an address that is none
        return type(error).__name__
    return "" if status < 400 or status in (404, 405) else f"it answers with status {status}"


def _weights_root() -> list[Finding]:
    root = os.environ.get("BOTTEGA_WEIGHTS_ROOT")
    if not root:
        return []
    if not Path(root).is_dir():
        return [Finding("✗", "weights", f"BOTTEGA_WEIGHTS_ROOT={root} is no folder", "correct or unset the variable")]
    return [Finding("✓", "weights", f"also looked for in {root}")]


def disk(folder: Path = Path()) -> list[Finding]:
    """Room in the current folder."""
    free = shutil.disk_usage(folder).free / 2**30
    text = f"{free:.1f} GB free here"
    if free < _FULL:
        return [Finding("✗", "disk", text, "free some: features and checkpoints cannot be written")]
    if free < _TIGHT:
        mend = "enough for small data; `bottega extract FILE --plan` tells what features need"
        return [Finding("!", "disk", text, mend)]
    return [Finding("✓", "disk", text)]


def project(folder: Path = Path()) -> list[Finding]:
    """Whether this looks like the folder to work in."""
    missing = [name for name in ("data", "config_files") if not (folder / name).is_dir()]
    if not missing:
        return [Finding("✓", "folder", f"{folder.resolve()} holds data/ and config_files/")]
    text = f"{folder.resolve()} holds no {' and no '.join(f'{name}/' for name in missing)}"
    if missing == ["data"]:
        return [Finding("!", "folder", text, "draw a shop: bottega demo; or put reviews.tsv into data/NAME/")]
    root = Path(__file__).resolve().parents[2]
    other = f"cd {root}" if (root / "config_files").is_dir() else "go to the project's folder"
    return [Finding("!", "folder", text, f"{other}: paths are relative to the current folder")]


def writing(folder: Path = Path()) -> list[Finding]:
    """Whether results and data can be written."""
    found = []
    for name in ("results", "data"):
        place = folder / name if (folder / name).exists() else folder
        try:
            with tempfile.TemporaryFile(dir=place):
                pass
        except OSError as error:
            text = f"{folder / name} cannot be written: {error.strerror or first_line(error)}"
            found.append(Finding("✗", "writing", text, f"make it yours: chown -R $USER '{place.resolve()}'"))
    return found or [Finding("✓", "writing", "results/ and data/ can be written")]
