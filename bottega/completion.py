"""What the shell offers when Tab is pressed: runs, data sets and configuration files of the current folder."""

from __future__ import annotations

from pathlib import Path


def runs(incomplete: str) -> list[str]:
    """`dataset/experiment` of every results folder."""
    from bottega.runs.finding import all_runs, name_of

    return [name for folder in all_runs() if (name := name_of(folder)).startswith(incomplete)]


def datasets(incomplete: str) -> list[str]:
    """Folders of data/."""
    return sorted(path.name for path in Path("data").glob("*") if path.is_dir() and path.name.startswith(incomplete))


def configs(incomplete: str) -> list[str]:
    """YAML files and folders that continue the path; from nothing, those of config_files/."""
    if not incomplete and Path("config_files").is_dir():
        incomplete = "config_files/"
    folder, _, start = incomplete.rpartition("/")
    base = Path(folder or ("/" if incomplete.startswith("/") else "."))
    if not base.is_dir():
        return []
    stem = f"{folder}/" if "/" in incomplete else ""
    found = [entry for entry in sorted(base.iterdir()) if entry.name.startswith(start) and entry.name[:1] != "."]
    offered = [f"{stem}{entry.name}/" for entry in found if entry.is_dir()]
    return [f"{stem}{entry.name}" for entry in found if entry.suffix in (".yml", ".yaml")] + offered


def runs_and_configs(incomplete: str) -> list[str]:
    """Both."""
    return runs(incomplete) + configs(incomplete)
