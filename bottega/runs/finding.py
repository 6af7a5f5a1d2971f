"""Results folders by name: `dataset/experiment`, a path, an experiment file, or the beginning of a name."""

from __future__ import annotations

from pathlib import Path

from benchmark.folder import RESULTS
from workbench.errors import UserError

MARKS = ("results.json", "journal.jsonl")


def is_run(folder: Path) -> bool:
    """Whether an experiment has written there."""
    return any((folder / mark).is_file() for mark in MARKS)


def all_runs(root: Path = RESULTS) -> list[Path]:
    """Every results folder, `<root>/<dataset>/<experiment>`, by name."""
    return sorted(folder for folder in root.glob("*/*") if folder.name[:1] != "." and is_run(folder))


def name_of(folder: Path) -> str:
    """`dataset/experiment`."""
    place = folder.resolve()
    return f"{place.parent.name}/{place.name}"


def find_run(text: str) -> Path:
    """The results folder that is meant.

    Raises
    ------
    UserError : there is none, or the beginning of a name fits several.
    """
    if text.endswith((".yml", ".yaml")) and not Path(text).is_dir():
        return _of_file(Path(text))
    there = {name_of(folder): folder for folder in all_runs()}
    if text in there:
        return there[text]
    if text and Path(text).is_dir() and is_run(Path(text)):
        return Path(text)
    whole = [name for name in there if name.partition("/")[2] == text]
    fitting = whole or [
        name for name in there if text and (name.startswith(text) or name.split("/")[1].startswith(text))
    ]
    if len(fitting) == 1:
        return there[fitting[0]]
    if fitting:
        raise UserError(f"{text!r} fits {len(fitting)} runs", mend=f"write one of: {', '.join(sorted(fitting))}")
    raise UserError(f"no run {text!r}", where=RESULTS, mend=_nearest(text, list(there)))


def _of_file(path: Path) -> Path:
    from workbench.config import read_yaml

    experiment = read_yaml(path).data.get("experiment")
    given = experiment.get("dataset") if isinstance(experiment, dict) else None
    datasets = [str(each) for each in (given if isinstance(given, list) else [given]) if each is not None]
    if not datasets or not all(each == Path(each).name and each != ".." for each in datasets):
        raise UserError(
            "no experiment file: it names no data set", where=path, mend="write `experiment: {dataset: ...}`"
        )
    folders = [RESULTS / dataset / path.stem for dataset in datasets]
    there = [folder for folder in folders if is_run(folder)]
    if len(there) > 1:
        names = ", ".join(map(name_of, there))
        raise UserError("results on several data sets", where=path, mend=f"write one of: {names}")
    if not there:
        raise UserError("this experiment has no results yet", where=folders[0], mend=f"run it: bottega run {path}")
    return there[0]


def _nearest(text: str, names: list[str]) -> str:
    if not names:
        return "nothing has been run in this folder yet: bottega run FILE"
    from workbench.config import nearest

    experiments: dict[str, list[str]] = {}
    for name in names:
        experiments.setdefault(name.split("/")[1], []).append(name)
    # held against experiments alone, too: a name without its data set is far from every `dataset/experiment`
    hints = [nearest(text, names), nearest(text, experiments)]
    hint = next((hint for hint in hints if hint.startswith("did you mean")), "")
    return hint or "bottega runs ls shows all: " + ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
