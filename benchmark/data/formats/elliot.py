"""Elliot's tree of folds: `<root>/<test fold>/test.tsv` and `<root>/<test fold>/<validation fold>/{train,val}.tsv`."""

from __future__ import annotations

from pathlib import Path

from benchmark.data.formats.layout import Layout
from benchmark.data.interactions import Duplicates, Interactions, read_interactions
from benchmark.data.splitters import Parts
from workbench.errors import UserError


def read_hierarchy(root: str | Path, duplicates: Duplicates = "error") -> list[list[Parts]]:
    """Every fold of a tree, by test fold and validation fold, in the order of their numbers (10 comes after 9).

    A test fold without validation folds has its `train.tsv` beside `test.tsv`, and one entry without validation.
    Rows that held-out users show (fold-in) are read from `test_input.tsv` and `val_input.tsv`, where those stand beside
    their targets.

    Raises
    ------
    UserError : no such tree, a folder that is no number, a file that is missing, or both forms in one fold.
    """
    root = Path(root)
    if not root.is_dir():
        raise UserError("no such folder", where=root, mend="`root_folder` holds one folder a test fold: 0, 1, ...")
    folds = _numbered(root)
    if not folds:
        raise UserError(
            "no test fold there", where=root, mend="`root_folder` holds one folder a test fold, each with test.tsv"
        )
    return [_test_fold(folder, duplicates) for folder in folds]


def _test_fold(folder: Path, duplicates: Duplicates) -> list[Parts]:
    test, shown = _read(folder / "test.tsv", duplicates), _read_some(folder / "test_input.tsv", duplicates)
    inner = _numbered(folder)
    if inner and (folder / "train.tsv").exists():
        raise UserError(
            "train.tsv stands beside validation folds that have their own",
            where=folder / "train.tsv",
            mend="remove it, or the numbered folders",
        )
    if not inner:
        return [Parts(_read(folder / "train.tsv", duplicates), None, test, test_input=shown)]
    return [
        Parts(
            _read(place / "train.tsv", duplicates),
            _read(place / "val.tsv", duplicates),
            test,
            _read_some(place / "val_input.tsv", duplicates),
            shown,
        )
        for place in inner
    ]


def _numbered(folder: Path) -> list[Path]:
    """Sub-folders in the order of the numbers that are their names."""
    found = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    for path in found:
        if not (path.name.isascii() and path.name.isdigit()):
            raise UserError("a fold is named by its number", where=path, mend="rename or remove that folder")
    return sorted(found, key=lambda path: int(path.name))


def _read(path: Path, duplicates: Duplicates) -> Interactions:
    return read_interactions(path, duplicates, Layout(format="tsv"))


def _read_some(path: Path, duplicates: Duplicates) -> Interactions | None:
    return _read(path, duplicates) if path.is_file() else None
