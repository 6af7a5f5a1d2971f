"""The liberties of Ducho's YAML files, straightened out before the schema sees them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench.config import Document, Location, read_yaml
from workbench.errors import UserError


def read_ducho_yaml(path: Path) -> Document:
    """Read a YAML file, or the only one of a folder.

    `gpu list` becomes `gpu_list`; a list of mappings becomes one mapping, except under `model`.

    Raises
    ------
    UserError : no such file, several in the folder, broken YAML, or a key that stands twice.
    """
    document = read_yaml(_only_yaml(path))
    lines: dict[Location, int] = {}
    data = _flatten(document.data, (), (), document, lines)
    return Document(document.path, data, lines)


def _only_yaml(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = sorted(entry for entry in path.iterdir() if entry.suffix in (".yml", ".yaml"))
    if len(found) == 1:
        return found[0]
    names = ", ".join(entry.name for entry in found) or "none"
    raise UserError(
        f"a folder with {len(found)} YAML files ({names})",
        where=path,
        mend="give the path of the file itself",
    )


def _flatten(value: Any, old: Location, new: Location, document: Document, lines: dict[Location, int]) -> Any:
    """Copy `value`, found at `old`, to `new`: lists of mappings become one mapping, except under `model`."""
    if old in document.lines:
        lines.setdefault(new, document.lines[old])
    if isinstance(value, list) and value and all(isinstance(part, dict) for part in value) and new[-1:] != ("model",):
        merged: dict[str, Any] = {}
        for index, part in enumerate(value):
            for key, inner in _flatten(part, (*old, index), new, document, lines).items():
                if key in merged:
                    raise UserError(f"the key `{key}` stands twice", where=document.where((*old, index, key)))
                merged[key] = inner
        return merged
    if isinstance(value, list):
        return [_flatten(part, (*old, index), (*new, index), document, lines) for index, part in enumerate(value)]
    if not isinstance(value, dict):
        return value
    if new == () and "gpu list" in value and "gpu_list" in value:
        raise UserError("`gpu list` and `gpu_list` are one key", where=document.where(("gpu_list",)))
    renamed = {key: "gpu_list" if (*new, key) == ("gpu list",) else key for key in value}
    return {
        renamed[key]: _flatten(inner, (*old, key), (*new, renamed[key]), document, lines)
        for key, inner in value.items()
    }
