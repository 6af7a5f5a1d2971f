"""Which tables there are, and removing one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from extractor.costs import cost_of
from workbench.errors import UserError
from workbench.features import find_tables, manifest_path, matrix_path, open_table, remove_table


@dataclass(frozen=True)
class Entry:
    """One table: where, how many items and dimensions, which weights made it, items in quarantine, bytes on disk, and
    what its model took (seconds; number of weights, None where it has none or that is not known)."""

    path: Path
    items: int
    dim: int
    weights: str
    quarantined: int
    size: int
    seconds: float | None
    parameters: int | None

    def cells(self) -> list[str]:
        """The entry as cells of a printed table."""
        return [
            str(self.path), f"{self.items:,}", str(self.dim), self.weights, str(self.quarantined),
            f"{self.size / 2**20:.1f}", "-" if self.seconds is None else f"{self.seconds:,.1f}",
            "-" if self.parameters is None else f"{self.parameters:,}",
        ]  # fmt: skip


def inventory(folder: Path) -> list[Entry]:
    """Every table below a folder; files that two tables share by hard links are counted at the first.

    Raises
    ------
    UserError : no such folder, or no table in it.
    """
    if not folder.is_dir():
        raise UserError("no such folder", where=folder, mend="name a data folder or an output folder")
    tables = find_tables(folder)
    if not tables:
        raise UserError("no feature table in this folder", where=folder, mend="extract first")
    seen: set[int] = set()
    entries = []
    for path in tables:
        table = open_table(path, verify=False)
        files = [matrix_path(path), manifest_path(path), *(path.glob("*.npy") if path.is_dir() else [])]
        new = [file.stat() for file in files if file.is_file() and file.stat().st_ino not in seen]
        seen.update(stat.st_ino for stat in new)
        weights = table.manifest.get("recipe", {}).get("weights", {})
        source = str(weights.get("source", "-")) if isinstance(weights, dict) else str(weights)
        quarantined = len(table.manifest.get("quarantined", []))
        cost = cost_of(table.manifest) or {}
        size = sum(stat.st_size for stat in new)
        seconds, parameters = cost.get("seconds"), cost.get("parameters")
        entries.append(Entry(path, len(table.row_of), table.dim, source, quarantined, size, seconds, parameters))
    return entries


def check_removable(path: Path) -> None:
    """Refuse what is no table, or holds more than one."""
    if not (manifest_path(path).is_file() or matrix_path(path).is_file() or path.is_dir()):
        raise UserError("no feature table there", where=path, mend="see `bottega features ls`")
    if path.is_dir() and any(entry.suffix != ".npy" for entry in path.iterdir()):
        raise UserError("this folder holds more than a table's rows", where=path, mend="name the layer's folder")


def remove(path: Path) -> None:
    """Remove one table, and nothing that is none."""
    check_removable(path)
    remove_table(path)
