"""Python, the packages with their lower bounds, the extras, and whether torch and torchvision can be loaded."""

from __future__ import annotations

import configparser
import re
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from bottega.checks.finding import Finding

OLDEST, NEWEST = (3, 10), (3, 13)
# of an extra for those who work on the project
_NOT_FOR_USERS = ("test",)


def python() -> list[Finding]:
    """The version of Python."""
    here = sys.version_info[:2]
    text = f"{'.'.join(map(str, sys.version_info[:3]))} ({sys.executable})"
    if here < OLDEST:
        return [Finding("✗", "Python", text, "3.10 or newer is needed; try: make PYTHON=python3.12 install")]
    if here > NEWEST:
        return [Finding("!", "Python", text, "not tried beyond 3.13; take an older one where a package is missing")]
    return [Finding("✓", "Python", text)]


def required(bounds: dict[str, list[str]] | None = None) -> list[Finding]:
    """The packages that everybody needs, held against their lower bounds."""
    wanted = (bounds or read_bounds()).get("", [])
    if not wanted:
        return [Finding("!", "packages", "bottega is not installed, and its setup.cfg is not there", "make install")]
    faults = {bound: fault for bound in wanted if (fault := fault_of(bound))}
    if not faults:
        return [Finding("✓", "packages", f"all {len(wanted)} required ones are there and new enough")]
    return [Finding("✗", "packages", fault, f"pip install --upgrade '{bound}'") for bound, fault in faults.items()]


def extras(bounds: dict[str, list[str]] | None = None) -> list[Finding]:
    """What the optional parts need."""
    found, absent, ready = [], [], []
    for name, wanted in (bounds or read_bounds()).items():
        if name == "" or name in _NOT_FOR_USERS:
            continue
        faults = [fault for bound in wanted if (fault := fault_of(bound))]
        if not faults:
            ready.append(name)
        elif any("too old" in fault for fault in faults):
            found.append(Finding("!", "extras", "; ".join(faults), f"pip install --upgrade 'bottega[{name}]'"))
        else:
            absent.append(name)
    if ready:
        found.insert(0, Finding("✓", "extras", f"installed: {', '.join(ready)}"))
    if absent:
        mend = f"only for those who use them: pip install 'bottega[{','.join(absent)}]'"
        found.append(Finding("!", "extras", f"not installed: {', '.join(absent)}", mend))
    return found


def torch() -> list[Finding]:
    """Whether torch and torchvision can be loaded: two builds that do not belong together cannot."""
    try:
        import torch
        import torchvision
    except Exception as error:  # a missing library of the system, an operator that the other build lacks
        text = f"cannot be loaded: {type(error).__name__}: {first_line(error)}"
        return [Finding("✗", "torch", text, "pip install --upgrade --force-reinstall torch torchvision")]
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU only"
    if torch.version.hip:
        build = f"ROCm {torch.version.hip}"
    return [Finding("✓", "torch", f"{torch.__version__} ({build}), torchvision {torchvision.__version__}")]


def read_bounds(root: Path | None = None) -> dict[str, list[str]]:
    """Requirements by extra, "" for everybody: of the setup.cfg beside the package, else as they were installed.

    The file comes first: of a copy that was updated since, the installed list is the old one.
    """
    path = (root or Path(__file__).resolve().parents[2]) / "setup.cfg"
    parser = configparser.ConfigParser(interpolation=None)
    if path.is_file():
        parser.read_string(path.read_text(encoding="utf-8"))
    if parser.has_option("options", "install_requires"):
        extra = dict(parser["options.extras_require"]) if parser.has_section("options.extras_require") else {}
        return {name: text.split() for name, text in {"": parser["options"]["install_requires"], **extra}.items()}
    bounds: dict[str, list[str]] = {}
    try:
        installed = requires("bottega") or []
    except PackageNotFoundError:
        return {}
    for line in installed:
        requirement, _, condition = line.partition(";")
        named = re.search(r"""extra\s*==\s*['"](.+?)['"]""", condition)
        bounds.setdefault(named.group(1) if named else "", []).append(requirement.strip())
    return bounds


def fault_of(bound: str) -> str:
    """What is wrong with the package of `name>=1.2`; empty where nothing is."""
    match = re.match(r"^([A-Za-z0-9._-]+?)\s*(?:>=\s*([\w.]+))?$", bound)
    if match is None:
        return ""
    name, least = match.groups()
    try:
        there = version(name)
    except PackageNotFoundError:
        return f"{name} is not installed"
    if least and _release(there) < _release(least):
        return f"{name} {there} is too old: {least} or newer is needed"
    return ""


def first_line(error: BaseException) -> str:
    """The first line of a message, shortened."""
    return (str(error).strip().splitlines() or [""])[0][:160]


def _release(text: str) -> tuple[int, ...]:
    # the numbers alone: `2.6.0+cpu` and `2.6.0a1` count as 2.6
    numbers = [int(part) for part in re.split(r"[^0-9.]", text, maxsplit=1)[0].split(".") if part]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
