"""`quarantine.tsv` in the output folder: the items that could not be used, with file and reason."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from extractor.sources import Note
from workbench.errors import UserError

_HEADER = ("modality", "item", "file", "reason")
_DEFAULT_SHARE, _DEFAULT_LEAST = 0.25, 20


def allowed(share: float | None, items: int) -> int:
    """How many items may be unusable: a share of them; without one, a quarter, but 20 in any case."""
    return max(_DEFAULT_LEAST, int(_DEFAULT_SHARE * items)) if share is None else int(share * items)


def write_quarantine(output: Path, modality: str, notes: Iterable[Note]) -> Path:
    """Replace this modality's lines of the list; other modalities may share the folder, and their lines stay.

    Tabs and line breaks in a field become spaces. With nothing to list, no file is left; a list that is right already
    is not touched.
    """
    path = output / "quarantine.tsv"
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    kept = [line for line in before.split("\n")[1:] if line and line.split("\t")[0] != modality]
    new = ["\t".join(_plain(field) for field in (modality, *note)) for note in notes]
    after = "\n".join(["\t".join(_HEADER), *kept, *new]) + "\n" if kept or new else ""
    if after != before:
        try:
            _replace(path, after, modality)
        except OSError as error:
            raise UserError(
                f"cannot write: {error.strerror or error}", where=path, mend="free disk space or check permissions"
            ) from error
    return path


def _replace(path: Path, text: str, modality: str) -> None:
    # one name for each modality, so that what a killed process left is written over
    temporary = path.with_name(f".{path.name}.{modality}.tmp")
    if not text:
        path.unlink()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary.write_text(text, encoding="utf-8", newline="\n")
    temporary.replace(path)


def _plain(field: str) -> str:
    return " ".join(field.splitlines()).replace("\t", " ").encode("utf-8", errors="replace").decode()
