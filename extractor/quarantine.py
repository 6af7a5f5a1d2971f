"""`quarantine.tsv` in the output folder: the items that could not be used, with file and reason."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from extractor.sources import Note
from workbench.files import write_text

_HEADER = ("modality", "item", "file", "reason")


def write_quarantine(output: Path, modality: str, notes: Iterable[Note]) -> Path:
    """Replace this modality's lines of the list; other modalities may share the folder, and their lines stay.

    Tabs and line breaks in a field become spaces. With nothing to list, no file is left.
    """
    path = output / "quarantine.tsv"
    lines = []
    if path.is_file():
        lines = path.read_text(encoding="utf-8").split("\n")[1:]
    kept = [line for line in lines if line and line.split("\t")[0] != modality]
    new = ["\t".join(_plain(field) for field in (modality, *note)) for note in notes]
    if kept or new:
        write_text(path, "\n".join(["\t".join(_HEADER), *kept, *new]) + "\n")
    else:
        path.unlink(missing_ok=True)
    return path


def _plain(field: str) -> str:
    return " ".join(field.splitlines()).replace("\t", " ").encode("utf-8", errors="replace").decode()
